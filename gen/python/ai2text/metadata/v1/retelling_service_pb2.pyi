from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class RetellRecordingsRequest(_message.Message):
    __slots__ = ("tenant", "recording_id", "page_token")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    recording_id: str
    page_token: str
    def __init__(self, tenant: _Optional[str] = ..., recording_id: _Optional[str] = ..., page_token: _Optional[str] = ...) -> None: ...

class RetellRecordingsResponse(_message.Message):
    __slots__ = ("recording_count", "segment_count", "deleted_count", "tenant", "waiting_count", "next_page_token")
    RECORDING_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    DELETED_COUNT_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    WAITING_COUNT_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    recording_count: int
    segment_count: int
    deleted_count: int
    tenant: str
    waiting_count: int
    next_page_token: str
    def __init__(self, recording_count: _Optional[int] = ..., segment_count: _Optional[int] = ..., deleted_count: _Optional[int] = ..., tenant: _Optional[str] = ..., waiting_count: _Optional[int] = ..., next_page_token: _Optional[str] = ...) -> None: ...
