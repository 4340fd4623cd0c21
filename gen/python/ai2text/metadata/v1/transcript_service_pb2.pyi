from ai2text.metadata.v1 import transcript_pb2 as _transcript_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExportFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXPORT_FORMAT_UNSPECIFIED: _ClassVar[ExportFormat]
    EXPORT_FORMAT_SRT: _ClassVar[ExportFormat]
    EXPORT_FORMAT_VTT: _ClassVar[ExportFormat]
    EXPORT_FORMAT_JSON: _ClassVar[ExportFormat]
    EXPORT_FORMAT_TXT: _ClassVar[ExportFormat]
EXPORT_FORMAT_UNSPECIFIED: ExportFormat
EXPORT_FORMAT_SRT: ExportFormat
EXPORT_FORMAT_VTT: ExportFormat
EXPORT_FORMAT_JSON: ExportFormat
EXPORT_FORMAT_TXT: ExportFormat

class CreateTranscriptRequest(_message.Message):
    __slots__ = ("recording_id", "transcript_id", "model", "channel", "incomplete")
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    INCOMPLETE_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    transcript_id: str
    model: str
    channel: int
    incomplete: bool
    def __init__(self, recording_id: _Optional[str] = ..., transcript_id: _Optional[str] = ..., model: _Optional[str] = ..., channel: _Optional[int] = ..., incomplete: _Optional[bool] = ...) -> None: ...

class CreateTranscriptResponse(_message.Message):
    __slots__ = ("transcript",)
    TRANSCRIPT_FIELD_NUMBER: _ClassVar[int]
    transcript: _transcript_pb2.Transcript
    def __init__(self, transcript: _Optional[_Union[_transcript_pb2.Transcript, _Mapping]] = ...) -> None: ...

class ListTranscriptsRequest(_message.Message):
    __slots__ = ("recording_id",)
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    def __init__(self, recording_id: _Optional[str] = ...) -> None: ...

class ListTranscriptsResponse(_message.Message):
    __slots__ = ("transcripts",)
    TRANSCRIPTS_FIELD_NUMBER: _ClassVar[int]
    transcripts: _containers.RepeatedCompositeFieldContainer[_transcript_pb2.Transcript]
    def __init__(self, transcripts: _Optional[_Iterable[_Union[_transcript_pb2.Transcript, _Mapping]]] = ...) -> None: ...

class AppendSegmentsRequest(_message.Message):
    __slots__ = ("transcript_id", "segments")
    TRANSCRIPT_ID_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    transcript_id: str
    segments: _containers.RepeatedCompositeFieldContainer[_transcript_pb2.Segment]
    def __init__(self, transcript_id: _Optional[str] = ..., segments: _Optional[_Iterable[_Union[_transcript_pb2.Segment, _Mapping]]] = ...) -> None: ...

class AppendSegmentsResponse(_message.Message):
    __slots__ = ("appended_count",)
    APPENDED_COUNT_FIELD_NUMBER: _ClassVar[int]
    appended_count: int
    def __init__(self, appended_count: _Optional[int] = ...) -> None: ...

class ListSegmentsRequest(_message.Message):
    __slots__ = ("transcript_id", "page_size", "page_token")
    TRANSCRIPT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    transcript_id: str
    page_size: int
    page_token: str
    def __init__(self, transcript_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListSegmentsResponse(_message.Message):
    __slots__ = ("segments", "next_page_token")
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    segments: _containers.RepeatedCompositeFieldContainer[_transcript_pb2.Segment]
    next_page_token: str
    def __init__(self, segments: _Optional[_Iterable[_Union[_transcript_pb2.Segment, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ExportTranscriptRequest(_message.Message):
    __slots__ = ("recording_id", "format", "channel")
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    format: ExportFormat
    channel: int
    def __init__(self, recording_id: _Optional[str] = ..., format: _Optional[_Union[ExportFormat, str]] = ..., channel: _Optional[int] = ...) -> None: ...

class ExportTranscriptResponse(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...
