import datetime

from ai2text.metadata.v1 import media_pb2 as _media_pb2
from ai2text.metadata.v1 import recording_pb2 as _recording_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RecordingOrder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RECORDING_ORDER_UNSPECIFIED: _ClassVar[RecordingOrder]
    RECORDING_ORDER_NEWEST: _ClassVar[RecordingOrder]
    RECORDING_ORDER_OLDEST: _ClassVar[RecordingOrder]
    RECORDING_ORDER_TITLE: _ClassVar[RecordingOrder]
    RECORDING_ORDER_LONGEST: _ClassVar[RecordingOrder]
RECORDING_ORDER_UNSPECIFIED: RecordingOrder
RECORDING_ORDER_NEWEST: RecordingOrder
RECORDING_ORDER_OLDEST: RecordingOrder
RECORDING_ORDER_TITLE: RecordingOrder
RECORDING_ORDER_LONGEST: RecordingOrder

class CreateRecordingRequest(_message.Message):
    __slots__ = ("recording_id", "title", "source", "language_code", "object", "media", "labels")
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
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    MEDIA_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    title: str
    source: _recording_pb2.RecordingSource
    language_code: str
    object: _media_pb2.StoredObject
    media: _media_pb2.MediaInfo
    labels: _containers.ScalarMap[str, str]
    def __init__(self, recording_id: _Optional[str] = ..., title: _Optional[str] = ..., source: _Optional[_Union[_recording_pb2.RecordingSource, str]] = ..., language_code: _Optional[str] = ..., object: _Optional[_Union[_media_pb2.StoredObject, _Mapping]] = ..., media: _Optional[_Union[_media_pb2.MediaInfo, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ...) -> None: ...

class CreateRecordingResponse(_message.Message):
    __slots__ = ("recording",)
    RECORDING_FIELD_NUMBER: _ClassVar[int]
    recording: _recording_pb2.Recording
    def __init__(self, recording: _Optional[_Union[_recording_pb2.Recording, _Mapping]] = ...) -> None: ...

class GetRecordingRequest(_message.Message):
    __slots__ = ("recording_id",)
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    def __init__(self, recording_id: _Optional[str] = ...) -> None: ...

class GetRecordingResponse(_message.Message):
    __slots__ = ("recording",)
    RECORDING_FIELD_NUMBER: _ClassVar[int]
    recording: _recording_pb2.Recording
    def __init__(self, recording: _Optional[_Union[_recording_pb2.Recording, _Mapping]] = ...) -> None: ...

class ListRecordingsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "source", "language_code", "title_contains", "labels", "created_after", "created_before", "order")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_CODE_FIELD_NUMBER: _ClassVar[int]
    TITLE_CONTAINS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AFTER_FIELD_NUMBER: _ClassVar[int]
    CREATED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    source: _recording_pb2.RecordingSource
    language_code: str
    title_contains: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    created_after: _timestamp_pb2.Timestamp
    created_before: _timestamp_pb2.Timestamp
    order: RecordingOrder
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., source: _Optional[_Union[_recording_pb2.RecordingSource, str]] = ..., language_code: _Optional[str] = ..., title_contains: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., created_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., order: _Optional[_Union[RecordingOrder, str]] = ...) -> None: ...

class ListRecordingsResponse(_message.Message):
    __slots__ = ("recordings", "next_page_token")
    RECORDINGS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    recordings: _containers.RepeatedCompositeFieldContainer[_recording_pb2.Recording]
    next_page_token: str
    def __init__(self, recordings: _Optional[_Iterable[_Union[_recording_pb2.Recording, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateRecordingRequest(_message.Message):
    __slots__ = ("recording", "update_mask")
    RECORDING_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    recording: _recording_pb2.Recording
    update_mask: _field_mask_pb2.FieldMask
    def __init__(self, recording: _Optional[_Union[_recording_pb2.Recording, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class UpdateRecordingResponse(_message.Message):
    __slots__ = ("recording",)
    RECORDING_FIELD_NUMBER: _ClassVar[int]
    recording: _recording_pb2.Recording
    def __init__(self, recording: _Optional[_Union[_recording_pb2.Recording, _Mapping]] = ...) -> None: ...

class DeleteRecordingRequest(_message.Message):
    __slots__ = ("recording_id", "etag")
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    etag: str
    def __init__(self, recording_id: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class DeleteRecordingResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FindObjectsRequest(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, keys: _Optional[_Iterable[str]] = ...) -> None: ...

class FindObjectsResponse(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, keys: _Optional[_Iterable[str]] = ...) -> None: ...
