import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Word(_message.Message):
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

class FinalResult(_message.Message):
    __slots__ = ("final_index", "text", "words", "start_ms", "end_ms", "language_code", "confidence", "channel", "processing_times")
    FINAL_INDEX_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    START_MS_FIELD_NUMBER: _ClassVar[int]
    END_MS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_CODE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    PROCESSING_TIMES_FIELD_NUMBER: _ClassVar[int]
    final_index: int
    text: str
    words: _containers.RepeatedCompositeFieldContainer[Word]
    start_ms: int
    end_ms: int
    language_code: str
    confidence: float
    channel: int
    processing_times: ProcessingTimes
    def __init__(self, final_index: _Optional[int] = ..., text: _Optional[str] = ..., words: _Optional[_Iterable[_Union[Word, _Mapping]]] = ..., start_ms: _Optional[int] = ..., end_ms: _Optional[int] = ..., language_code: _Optional[str] = ..., confidence: _Optional[float] = ..., channel: _Optional[int] = ..., processing_times: _Optional[_Union[ProcessingTimes, _Mapping]] = ...) -> None: ...

class PartialResult(_message.Message):
    __slots__ = ("stable_text", "unstable_text", "start_ms", "end_ms", "language_code", "words", "channel", "processing_times", "complete")
    STABLE_TEXT_FIELD_NUMBER: _ClassVar[int]
    UNSTABLE_TEXT_FIELD_NUMBER: _ClassVar[int]
    START_MS_FIELD_NUMBER: _ClassVar[int]
    END_MS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_CODE_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    PROCESSING_TIMES_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    stable_text: str
    unstable_text: str
    start_ms: int
    end_ms: int
    language_code: str
    words: _containers.RepeatedCompositeFieldContainer[Word]
    channel: int
    processing_times: ProcessingTimes
    complete: bool
    def __init__(self, stable_text: _Optional[str] = ..., unstable_text: _Optional[str] = ..., start_ms: _Optional[int] = ..., end_ms: _Optional[int] = ..., language_code: _Optional[str] = ..., words: _Optional[_Iterable[_Union[Word, _Mapping]]] = ..., channel: _Optional[int] = ..., processing_times: _Optional[_Union[ProcessingTimes, _Mapping]] = ..., complete: _Optional[bool] = ...) -> None: ...

class RefinementResult(_message.Message):
    __slots__ = ("final_index", "text", "words", "language_code", "confidence", "channel", "processing_times")
    FINAL_INDEX_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_CODE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    PROCESSING_TIMES_FIELD_NUMBER: _ClassVar[int]
    final_index: int
    text: str
    words: _containers.RepeatedCompositeFieldContainer[Word]
    language_code: str
    confidence: float
    channel: int
    processing_times: ProcessingTimes
    def __init__(self, final_index: _Optional[int] = ..., text: _Optional[str] = ..., words: _Optional[_Iterable[_Union[Word, _Mapping]]] = ..., language_code: _Optional[str] = ..., confidence: _Optional[float] = ..., channel: _Optional[int] = ..., processing_times: _Optional[_Union[ProcessingTimes, _Mapping]] = ...) -> None: ...

class ProcessingTimes(_message.Message):
    __slots__ = ("queue", "inference", "post_processing")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_FIELD_NUMBER: _ClassVar[int]
    POST_PROCESSING_FIELD_NUMBER: _ClassVar[int]
    queue: _duration_pb2.Duration
    inference: _duration_pb2.Duration
    post_processing: _duration_pb2.Duration
    def __init__(self, queue: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., inference: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., post_processing: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Cursors(_message.Message):
    __slots__ = ("received_ms", "processed_ms", "final_ms", "final_index")
    RECEIVED_MS_FIELD_NUMBER: _ClassVar[int]
    PROCESSED_MS_FIELD_NUMBER: _ClassVar[int]
    FINAL_MS_FIELD_NUMBER: _ClassVar[int]
    FINAL_INDEX_FIELD_NUMBER: _ClassVar[int]
    received_ms: int
    processed_ms: int
    final_ms: int
    final_index: int
    def __init__(self, received_ms: _Optional[int] = ..., processed_ms: _Optional[int] = ..., final_ms: _Optional[int] = ..., final_index: _Optional[int] = ...) -> None: ...
