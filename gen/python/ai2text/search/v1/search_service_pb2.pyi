from ai2text.search.v1 import explanation_pb2 as _explanation_pb2
from ai2text.search.v1 import filter_pb2 as _filter_pb2
from ai2text.search.v1 import hit_pb2 as _hit_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class IndexStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INDEX_STATUS_UNSPECIFIED: _ClassVar[IndexStatus]
    INDEX_STATUS_READY: _ClassVar[IndexStatus]
    INDEX_STATUS_BUILDING: _ClassVar[IndexStatus]
    INDEX_STATUS_WORDS_ONLY: _ClassVar[IndexStatus]
INDEX_STATUS_UNSPECIFIED: IndexStatus
INDEX_STATUS_READY: IndexStatus
INDEX_STATUS_BUILDING: IndexStatus
INDEX_STATUS_WORDS_ONLY: IndexStatus

class SearchRequest(_message.Message):
    __slots__ = ("query", "limit", "recording_ids", "language_code", "page_token", "filter", "group_by_recording", "hits_per_recording", "explain", "rerank")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    RECORDING_IDS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_CODE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_RECORDING_FIELD_NUMBER: _ClassVar[int]
    HITS_PER_RECORDING_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    RERANK_FIELD_NUMBER: _ClassVar[int]
    query: str
    limit: int
    recording_ids: _containers.RepeatedScalarFieldContainer[str]
    language_code: str
    page_token: str
    filter: _filter_pb2.SearchFilter
    group_by_recording: bool
    hits_per_recording: int
    explain: bool
    rerank: bool
    def __init__(self, query: _Optional[str] = ..., limit: _Optional[int] = ..., recording_ids: _Optional[_Iterable[str]] = ..., language_code: _Optional[str] = ..., page_token: _Optional[str] = ..., filter: _Optional[_Union[_filter_pb2.SearchFilter, _Mapping]] = ..., group_by_recording: _Optional[bool] = ..., hits_per_recording: _Optional[int] = ..., explain: _Optional[bool] = ..., rerank: _Optional[bool] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("hits", "rankings", "next_page_token", "groups", "index_status", "explanation")
    HITS_FIELD_NUMBER: _ClassVar[int]
    RANKINGS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    INDEX_STATUS_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    hits: _containers.RepeatedCompositeFieldContainer[_hit_pb2.Hit]
    rankings: _containers.RepeatedScalarFieldContainer[_hit_pb2.Ranking]
    next_page_token: str
    groups: _containers.RepeatedCompositeFieldContainer[_hit_pb2.RecordingGroup]
    index_status: IndexStatus
    explanation: _explanation_pb2.SearchExplanation
    def __init__(self, hits: _Optional[_Iterable[_Union[_hit_pb2.Hit, _Mapping]]] = ..., rankings: _Optional[_Iterable[_Union[_hit_pb2.Ranking, str]]] = ..., next_page_token: _Optional[str] = ..., groups: _Optional[_Iterable[_Union[_hit_pb2.RecordingGroup, _Mapping]]] = ..., index_status: _Optional[_Union[IndexStatus, str]] = ..., explanation: _Optional[_Union[_explanation_pb2.SearchExplanation, _Mapping]] = ...) -> None: ...

class BatchSearchRequest(_message.Message):
    __slots__ = ("requests",)
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[SearchRequest]
    def __init__(self, requests: _Optional[_Iterable[_Union[SearchRequest, _Mapping]]] = ...) -> None: ...

class BatchSearchResponse(_message.Message):
    __slots__ = ("responses",)
    RESPONSES_FIELD_NUMBER: _ClassVar[int]
    responses: _containers.RepeatedCompositeFieldContainer[SearchResponse]
    def __init__(self, responses: _Optional[_Iterable[_Union[SearchResponse, _Mapping]]] = ...) -> None: ...
