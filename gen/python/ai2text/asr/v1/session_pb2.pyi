import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Resume(_message.Message):
    __slots__ = ("session_id", "resume_token", "next_final_index")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    NEXT_FINAL_INDEX_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    resume_token: str
    next_final_index: int
    def __init__(self, session_id: _Optional[str] = ..., resume_token: _Optional[str] = ..., next_final_index: _Optional[int] = ...) -> None: ...

class Endpointing(_message.Message):
    __slots__ = ("pause", "silence", "max_utterance", "start_probability", "stop_probability", "long_utterance_silence")
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    SILENCE_FIELD_NUMBER: _ClassVar[int]
    MAX_UTTERANCE_FIELD_NUMBER: _ClassVar[int]
    START_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    STOP_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    LONG_UTTERANCE_SILENCE_FIELD_NUMBER: _ClassVar[int]
    pause: _duration_pb2.Duration
    silence: _duration_pb2.Duration
    max_utterance: _duration_pb2.Duration
    start_probability: float
    stop_probability: float
    long_utterance_silence: _duration_pb2.Duration
    def __init__(self, pause: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., silence: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_utterance: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., start_probability: _Optional[float] = ..., stop_probability: _Optional[float] = ..., long_utterance_silence: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class SessionStatus(_message.Message):
    __slots__ = ("credit", "partial_interval", "closing_in")
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    CLOSING_IN_FIELD_NUMBER: _ClassVar[int]
    credit: _duration_pb2.Duration
    partial_interval: _duration_pb2.Duration
    closing_in: _duration_pb2.Duration
    def __init__(self, credit: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., partial_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., closing_in: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
