from ai2text.search.v1 import hit_pb2 as _hit_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SearchRequest(_message.Message):
    __slots__ = ("query", "limit", "recording_ids", "language_code")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    RECORDING_IDS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_CODE_FIELD_NUMBER: _ClassVar[int]
    query: str
    limit: int
    recording_ids: _containers.RepeatedScalarFieldContainer[str]
    language_code: str
    def __init__(self, query: _Optional[str] = ..., limit: _Optional[int] = ..., recording_ids: _Optional[_Iterable[str]] = ..., language_code: _Optional[str] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("hits", "rankings")
    HITS_FIELD_NUMBER: _ClassVar[int]
    RANKINGS_FIELD_NUMBER: _ClassVar[int]
    hits: _containers.RepeatedCompositeFieldContainer[_hit_pb2.Hit]
    rankings: _containers.RepeatedScalarFieldContainer[_hit_pb2.Ranking]
    def __init__(self, hits: _Optional[_Iterable[_Union[_hit_pb2.Hit, _Mapping]]] = ..., rankings: _Optional[_Iterable[_Union[_hit_pb2.Ranking, str]]] = ...) -> None: ...
