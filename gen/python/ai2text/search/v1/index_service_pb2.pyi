from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class IndexStats(_message.Message):
    __slots__ = ("documents", "vectors")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    documents: int
    vectors: _containers.RepeatedCompositeFieldContainer[VectorStats]
    def __init__(self, documents: _Optional[int] = ..., vectors: _Optional[_Iterable[_Union[VectorStats, _Mapping]]] = ...) -> None: ...

class VectorStats(_message.Message):
    __slots__ = ("model", "dimensions", "alive", "dead", "loose", "lists", "bytes", "seq", "newest_seq", "behind")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    DEAD_FIELD_NUMBER: _ClassVar[int]
    LOOSE_FIELD_NUMBER: _ClassVar[int]
    LISTS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    NEWEST_SEQ_FIELD_NUMBER: _ClassVar[int]
    BEHIND_FIELD_NUMBER: _ClassVar[int]
    model: str
    dimensions: int
    alive: int
    dead: int
    loose: int
    lists: int
    bytes: int
    seq: int
    newest_seq: int
    behind: bool
    def __init__(self, model: _Optional[str] = ..., dimensions: _Optional[int] = ..., alive: _Optional[int] = ..., dead: _Optional[int] = ..., loose: _Optional[int] = ..., lists: _Optional[int] = ..., bytes: _Optional[int] = ..., seq: _Optional[int] = ..., newest_seq: _Optional[int] = ..., behind: _Optional[bool] = ...) -> None: ...

class IndexDocument(_message.Message):
    __slots__ = ("recording_id", "transcript_id", "segment_id", "start_ms", "end_ms", "language_code", "text", "model", "vector", "channel")
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_ID_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_ID_FIELD_NUMBER: _ClassVar[int]
    START_MS_FIELD_NUMBER: _ClassVar[int]
    END_MS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_CODE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    transcript_id: str
    segment_id: str
    start_ms: int
    end_ms: int
    language_code: str
    text: str
    model: str
    vector: _containers.RepeatedScalarFieldContainer[float]
    channel: int
    def __init__(self, recording_id: _Optional[str] = ..., transcript_id: _Optional[str] = ..., segment_id: _Optional[str] = ..., start_ms: _Optional[int] = ..., end_ms: _Optional[int] = ..., language_code: _Optional[str] = ..., text: _Optional[str] = ..., model: _Optional[str] = ..., vector: _Optional[_Iterable[float]] = ..., channel: _Optional[int] = ...) -> None: ...

class GetIndexStatsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetIndexStatsResponse(_message.Message):
    __slots__ = ("stats",)
    STATS_FIELD_NUMBER: _ClassVar[int]
    stats: IndexStats
    def __init__(self, stats: _Optional[_Union[IndexStats, _Mapping]] = ...) -> None: ...

class CreateSnapshotRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CreateSnapshotResponse(_message.Message):
    __slots__ = ("stats",)
    STATS_FIELD_NUMBER: _ClassVar[int]
    stats: IndexStats
    def __init__(self, stats: _Optional[_Union[IndexStats, _Mapping]] = ...) -> None: ...

class CompactIndexRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CompactIndexResponse(_message.Message):
    __slots__ = ("stats",)
    STATS_FIELD_NUMBER: _ClassVar[int]
    stats: IndexStats
    def __init__(self, stats: _Optional[_Union[IndexStats, _Mapping]] = ...) -> None: ...

class UpsertDocumentsRequest(_message.Message):
    __slots__ = ("documents",)
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    documents: _containers.RepeatedCompositeFieldContainer[IndexDocument]
    def __init__(self, documents: _Optional[_Iterable[_Union[IndexDocument, _Mapping]]] = ...) -> None: ...

class UpsertDocumentsResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeleteDocumentsRequest(_message.Message):
    __slots__ = ("segment_ids",)
    SEGMENT_IDS_FIELD_NUMBER: _ClassVar[int]
    segment_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, segment_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class DeleteDocumentsResponse(_message.Message):
    __slots__ = ("deleted_count",)
    DELETED_COUNT_FIELD_NUMBER: _ClassVar[int]
    deleted_count: int
    def __init__(self, deleted_count: _Optional[int] = ...) -> None: ...
