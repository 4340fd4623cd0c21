from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HitExplanation(_message.Message):
    __slots__ = ("semantic_share", "lexical_share", "exact_words", "folded_words", "closeness")
    SEMANTIC_SHARE_FIELD_NUMBER: _ClassVar[int]
    LEXICAL_SHARE_FIELD_NUMBER: _ClassVar[int]
    EXACT_WORDS_FIELD_NUMBER: _ClassVar[int]
    FOLDED_WORDS_FIELD_NUMBER: _ClassVar[int]
    CLOSENESS_FIELD_NUMBER: _ClassVar[int]
    semantic_share: float
    lexical_share: float
    exact_words: _containers.RepeatedScalarFieldContainer[str]
    folded_words: _containers.RepeatedScalarFieldContainer[str]
    closeness: float
    def __init__(self, semantic_share: _Optional[float] = ..., lexical_share: _Optional[float] = ..., exact_words: _Optional[_Iterable[str]] = ..., folded_words: _Optional[_Iterable[str]] = ..., closeness: _Optional[float] = ...) -> None: ...

class SearchExplanation(_message.Message):
    __slots__ = ("semantic_weight", "lexical_weight", "word_coverage", "semantic_candidates", "lexical_candidates", "lists_searched", "vectors_compared", "recordings_left", "cached", "timings", "hurried")
    SEMANTIC_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    LEXICAL_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    WORD_COVERAGE_FIELD_NUMBER: _ClassVar[int]
    SEMANTIC_CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    LEXICAL_CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    LISTS_SEARCHED_FIELD_NUMBER: _ClassVar[int]
    VECTORS_COMPARED_FIELD_NUMBER: _ClassVar[int]
    RECORDINGS_LEFT_FIELD_NUMBER: _ClassVar[int]
    CACHED_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    HURRIED_FIELD_NUMBER: _ClassVar[int]
    semantic_weight: float
    lexical_weight: float
    word_coverage: float
    semantic_candidates: int
    lexical_candidates: int
    lists_searched: int
    vectors_compared: int
    recordings_left: int
    cached: bool
    timings: SearchTimings
    hurried: bool
    def __init__(self, semantic_weight: _Optional[float] = ..., lexical_weight: _Optional[float] = ..., word_coverage: _Optional[float] = ..., semantic_candidates: _Optional[int] = ..., lexical_candidates: _Optional[int] = ..., lists_searched: _Optional[int] = ..., vectors_compared: _Optional[int] = ..., recordings_left: _Optional[int] = ..., cached: _Optional[bool] = ..., timings: _Optional[_Union[SearchTimings, _Mapping]] = ..., hurried: _Optional[bool] = ...) -> None: ...

class SearchTimings(_message.Message):
    __slots__ = ("filter_us", "embed_us", "words_us", "vectors_us", "documents_us", "snippets_us", "rerank_us", "total_us")
    FILTER_US_FIELD_NUMBER: _ClassVar[int]
    EMBED_US_FIELD_NUMBER: _ClassVar[int]
    WORDS_US_FIELD_NUMBER: _ClassVar[int]
    VECTORS_US_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_US_FIELD_NUMBER: _ClassVar[int]
    SNIPPETS_US_FIELD_NUMBER: _ClassVar[int]
    RERANK_US_FIELD_NUMBER: _ClassVar[int]
    TOTAL_US_FIELD_NUMBER: _ClassVar[int]
    filter_us: int
    embed_us: int
    words_us: int
    vectors_us: int
    documents_us: int
    snippets_us: int
    rerank_us: int
    total_us: int
    def __init__(self, filter_us: _Optional[int] = ..., embed_us: _Optional[int] = ..., words_us: _Optional[int] = ..., vectors_us: _Optional[int] = ..., documents_us: _Optional[int] = ..., snippets_us: _Optional[int] = ..., rerank_us: _Optional[int] = ..., total_us: _Optional[int] = ...) -> None: ...
