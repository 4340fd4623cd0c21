from ai2text.search.v1 import explanation_pb2 as _explanation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Ranking(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RANKING_UNSPECIFIED: _ClassVar[Ranking]
    RANKING_SEMANTIC: _ClassVar[Ranking]
    RANKING_LEXICAL: _ClassVar[Ranking]
    RANKING_CLOSENESS: _ClassVar[Ranking]
RANKING_UNSPECIFIED: Ranking
RANKING_SEMANTIC: Ranking
RANKING_LEXICAL: Ranking
RANKING_CLOSENESS: Ranking

class Hit(_message.Message):
    __slots__ = ("recording_id", "transcript_id", "segment_id", "start_ms", "end_ms", "snippet", "score", "language_code", "semantic_rank", "lexical_rank", "explanation", "channel")
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_ID_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_ID_FIELD_NUMBER: _ClassVar[int]
    START_MS_FIELD_NUMBER: _ClassVar[int]
    END_MS_FIELD_NUMBER: _ClassVar[int]
    SNIPPET_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_CODE_FIELD_NUMBER: _ClassVar[int]
    SEMANTIC_RANK_FIELD_NUMBER: _ClassVar[int]
    LEXICAL_RANK_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    transcript_id: str
    segment_id: str
    start_ms: int
    end_ms: int
    snippet: Snippet
    score: float
    language_code: str
    semantic_rank: int
    lexical_rank: int
    explanation: _explanation_pb2.HitExplanation
    channel: int
    def __init__(self, recording_id: _Optional[str] = ..., transcript_id: _Optional[str] = ..., segment_id: _Optional[str] = ..., start_ms: _Optional[int] = ..., end_ms: _Optional[int] = ..., snippet: _Optional[_Union[Snippet, _Mapping]] = ..., score: _Optional[float] = ..., language_code: _Optional[str] = ..., semantic_rank: _Optional[int] = ..., lexical_rank: _Optional[int] = ..., explanation: _Optional[_Union[_explanation_pb2.HitExplanation, _Mapping]] = ..., channel: _Optional[int] = ...) -> None: ...

class RecordingGroup(_message.Message):
    __slots__ = ("recording_id", "score", "hits")
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    HITS_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    score: float
    hits: _containers.RepeatedCompositeFieldContainer[Hit]
    def __init__(self, recording_id: _Optional[str] = ..., score: _Optional[float] = ..., hits: _Optional[_Iterable[_Union[Hit, _Mapping]]] = ...) -> None: ...

class Snippet(_message.Message):
    __slots__ = ("text", "highlights")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    HIGHLIGHTS_FIELD_NUMBER: _ClassVar[int]
    text: str
    highlights: _containers.RepeatedCompositeFieldContainer[Highlight]
    def __init__(self, text: _Optional[str] = ..., highlights: _Optional[_Iterable[_Union[Highlight, _Mapping]]] = ...) -> None: ...

class Highlight(_message.Message):
    __slots__ = ("start", "end")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...
