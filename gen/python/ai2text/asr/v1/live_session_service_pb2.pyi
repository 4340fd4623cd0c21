import datetime

from ai2text.asr.v1 import result_pb2 as _result_pb2
from ai2text.asr.v1 import session_pb2 as _session_pb2
from ai2text.asr.v1 import speech_service_pb2 as _speech_service_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OpenSessionRequest(_message.Message):
    __slots__ = ("config", "resume")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    config: _speech_service_pb2.StreamingConfig
    resume: _session_pb2.Resume
    def __init__(self, config: _Optional[_Union[_speech_service_pb2.StreamingConfig, _Mapping]] = ..., resume: _Optional[_Union[_session_pb2.Resume, _Mapping]] = ...) -> None: ...

class OpenSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: _speech_service_pb2.SessionStarted
    def __init__(self, session: _Optional[_Union[_speech_service_pb2.SessionStarted, _Mapping]] = ...) -> None: ...

class PushAudioRequest(_message.Message):
    __slots__ = ("session_id", "resume_token", "sequence", "audio", "silence", "force_end_of_utterance", "keepalive")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    SILENCE_FIELD_NUMBER: _ClassVar[int]
    FORCE_END_OF_UTTERANCE_FIELD_NUMBER: _ClassVar[int]
    KEEPALIVE_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    resume_token: str
    sequence: int
    audio: bytes
    silence: _speech_service_pb2.Silence
    force_end_of_utterance: _speech_service_pb2.ForceEndOfUtterance
    keepalive: _speech_service_pb2.Keepalive
    def __init__(self, session_id: _Optional[str] = ..., resume_token: _Optional[str] = ..., sequence: _Optional[int] = ..., audio: _Optional[bytes] = ..., silence: _Optional[_Union[_speech_service_pb2.Silence, _Mapping]] = ..., force_end_of_utterance: _Optional[_Union[_speech_service_pb2.ForceEndOfUtterance, _Mapping]] = ..., keepalive: _Optional[_Union[_speech_service_pb2.Keepalive, _Mapping]] = ...) -> None: ...

class PushAudioResponse(_message.Message):
    __slots__ = ("next_sequence", "cursors", "credit")
    NEXT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CURSORS_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    next_sequence: int
    cursors: _result_pb2.Cursors
    credit: _duration_pb2.Duration
    def __init__(self, next_sequence: _Optional[int] = ..., cursors: _Optional[_Union[_result_pb2.Cursors, _Mapping]] = ..., credit: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WatchSessionRequest(_message.Message):
    __slots__ = ("session_id", "resume_token", "next_final_index")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    NEXT_FINAL_INDEX_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    resume_token: str
    next_final_index: int
    def __init__(self, session_id: _Optional[str] = ..., resume_token: _Optional[str] = ..., next_final_index: _Optional[int] = ...) -> None: ...

class WatchSessionResponse(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: _speech_service_pb2.StreamingRecognizeResponse
    def __init__(self, event: _Optional[_Union[_speech_service_pb2.StreamingRecognizeResponse, _Mapping]] = ...) -> None: ...

class CloseSessionRequest(_message.Message):
    __slots__ = ("session_id", "resume_token")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    resume_token: str
    def __init__(self, session_id: _Optional[str] = ..., resume_token: _Optional[str] = ...) -> None: ...

class CloseSessionResponse(_message.Message):
    __slots__ = ("cursors",)
    CURSORS_FIELD_NUMBER: _ClassVar[int]
    cursors: _result_pb2.Cursors
    def __init__(self, cursors: _Optional[_Union[_result_pb2.Cursors, _Mapping]] = ...) -> None: ...
