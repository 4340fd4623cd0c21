import datetime

from ai2text.metadata.v1 import media_pb2 as _media_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RecordingSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RECORDING_SOURCE_UNSPECIFIED: _ClassVar[RecordingSource]
    RECORDING_SOURCE_LIVE: _ClassVar[RecordingSource]
    RECORDING_SOURCE_FILE: _ClassVar[RecordingSource]
RECORDING_SOURCE_UNSPECIFIED: RecordingSource
RECORDING_SOURCE_LIVE: RecordingSource
RECORDING_SOURCE_FILE: RecordingSource

class Recording(_message.Message):
    __slots__ = ("recording_id", "title", "source", "language_code", "duration_ms", "segment_count", "create_time", "update_time", "object", "media", "labels", "etag")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_CODE_FIELD_NUMBER: _ClassVar[int]
    DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    MEDIA_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    title: str
    source: RecordingSource
    language_code: str
    duration_ms: int
    segment_count: int
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    object: _media_pb2.StoredObject
    media: _media_pb2.MediaInfo
    labels: _containers.ScalarMap[str, str]
    etag: str
    def __init__(self, recording_id: _Optional[str] = ..., title: _Optional[str] = ..., source: _Optional[_Union[RecordingSource, str]] = ..., language_code: _Optional[str] = ..., duration_ms: _Optional[int] = ..., segment_count: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., object: _Optional[_Union[_media_pb2.StoredObject, _Mapping]] = ..., media: _Optional[_Union[_media_pb2.MediaInfo, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., etag: _Optional[str] = ...) -> None: ...
