import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Transcript(_message.Message):
    __slots__ = ("transcript_id", "recording_id", "model", "segment_count", "create_time", "channel", "incomplete")
    TRANSCRIPT_ID_FIELD_NUMBER: _ClassVar[int]
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    INCOMPLETE_FIELD_NUMBER: _ClassVar[int]
    transcript_id: str
    recording_id: str
    model: str
    segment_count: int
    create_time: _timestamp_pb2.Timestamp
    channel: int
    incomplete: bool
    def __init__(self, transcript_id: _Optional[str] = ..., recording_id: _Optional[str] = ..., model: _Optional[str] = ..., segment_count: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., channel: _Optional[int] = ..., incomplete: _Optional[bool] = ...) -> None: ...

class Segment(_message.Message):
    __slots__ = ("segment_id", "segment_index", "text", "start_ms", "end_ms", "language_code", "confidence", "words", "raw_text")
    SEGMENT_ID_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_INDEX_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    START_MS_FIELD_NUMBER: _ClassVar[int]
    END_MS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_CODE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    RAW_TEXT_FIELD_NUMBER: _ClassVar[int]
    segment_id: str
    segment_index: int
    text: str
    start_ms: int
    end_ms: int
    language_code: str
    confidence: float
    words: _containers.RepeatedCompositeFieldContainer[SegmentWord]
    raw_text: str
    def __init__(self, segment_id: _Optional[str] = ..., segment_index: _Optional[int] = ..., text: _Optional[str] = ..., start_ms: _Optional[int] = ..., end_ms: _Optional[int] = ..., language_code: _Optional[str] = ..., confidence: _Optional[float] = ..., words: _Optional[_Iterable[_Union[SegmentWord, _Mapping]]] = ..., raw_text: _Optional[str] = ...) -> None: ...

class SegmentWord(_message.Message):
    __slots__ = ("text", "start_ms", "end_ms", "confidence")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    START_MS_FIELD_NUMBER: _ClassVar[int]
    END_MS_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    text: str
    start_ms: int
    end_ms: int
    confidence: float
    def __init__(self, text: _Optional[str] = ..., start_ms: _Optional[int] = ..., end_ms: _Optional[int] = ..., confidence: _Optional[float] = ...) -> None: ...
