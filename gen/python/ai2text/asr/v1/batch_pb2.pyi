import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BatchFileState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BATCH_FILE_STATE_UNSPECIFIED: _ClassVar[BatchFileState]
    BATCH_FILE_STATE_QUEUED: _ClassVar[BatchFileState]
    BATCH_FILE_STATE_RUNNING: _ClassVar[BatchFileState]
    BATCH_FILE_STATE_SUCCEEDED: _ClassVar[BatchFileState]
    BATCH_FILE_STATE_FAILED: _ClassVar[BatchFileState]
    BATCH_FILE_STATE_CANCELLED: _ClassVar[BatchFileState]
BATCH_FILE_STATE_UNSPECIFIED: BatchFileState
BATCH_FILE_STATE_QUEUED: BatchFileState
BATCH_FILE_STATE_RUNNING: BatchFileState
BATCH_FILE_STATE_SUCCEEDED: BatchFileState
BATCH_FILE_STATE_FAILED: BatchFileState
BATCH_FILE_STATE_CANCELLED: BatchFileState

class BatchFile(_message.Message):
    __slots__ = ("recording_id", "state", "progress_percent", "transcript_id", "segment_count", "error", "tries")
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_PERCENT_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_ID_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    TRIES_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    state: BatchFileState
    progress_percent: int
    transcript_id: str
    segment_count: int
    error: _status_pb2.Status
    tries: int
    def __init__(self, recording_id: _Optional[str] = ..., state: _Optional[_Union[BatchFileState, str]] = ..., progress_percent: _Optional[int] = ..., transcript_id: _Optional[str] = ..., segment_count: _Optional[int] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., tries: _Optional[int] = ...) -> None: ...

class BatchRecognizeMetadata(_message.Message):
    __slots__ = ("create_time", "update_time", "progress_percent", "files")
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_PERCENT_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    progress_percent: int
    files: _containers.RepeatedCompositeFieldContainer[BatchFile]
    def __init__(self, create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., progress_percent: _Optional[int] = ..., files: _Optional[_Iterable[_Union[BatchFile, _Mapping]]] = ...) -> None: ...

class BatchRecognizeResponse(_message.Message):
    __slots__ = ("files",)
    FILES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[BatchFile]
    def __init__(self, files: _Optional[_Iterable[_Union[BatchFile, _Mapping]]] = ...) -> None: ...
