import datetime

from ai2text.asr.v1 import audio_pb2 as _audio_pb2
from ai2text.asr.v1 import result_pb2 as _result_pb2
from ai2text.asr.v1 import session_pb2 as _session_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.longrunning import operations_pb2 as _operations_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StreamingRecognizeRequest(_message.Message):
    __slots__ = ("config", "audio", "silence", "force_end_of_utterance", "keepalive", "resume")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    SILENCE_FIELD_NUMBER: _ClassVar[int]
    FORCE_END_OF_UTTERANCE_FIELD_NUMBER: _ClassVar[int]
    KEEPALIVE_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    config: StreamingConfig
    audio: bytes
    silence: Silence
    force_end_of_utterance: ForceEndOfUtterance
    keepalive: Keepalive
    resume: _session_pb2.Resume
    def __init__(self, config: _Optional[_Union[StreamingConfig, _Mapping]] = ..., audio: _Optional[bytes] = ..., silence: _Optional[_Union[Silence, _Mapping]] = ..., force_end_of_utterance: _Optional[_Union[ForceEndOfUtterance, _Mapping]] = ..., keepalive: _Optional[_Union[Keepalive, _Mapping]] = ..., resume: _Optional[_Union[_session_pb2.Resume, _Mapping]] = ...) -> None: ...

class StreamingConfig(_message.Message):
    __slots__ = ("format", "language_code", "partials_disabled", "storage_disabled", "title", "language_codes", "hotwords", "endpointing", "partial_words_enabled", "refinements_disabled")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_CODE_FIELD_NUMBER: _ClassVar[int]
    PARTIALS_DISABLED_FIELD_NUMBER: _ClassVar[int]
    STORAGE_DISABLED_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_CODES_FIELD_NUMBER: _ClassVar[int]
    HOTWORDS_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTING_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_WORDS_ENABLED_FIELD_NUMBER: _ClassVar[int]
    REFINEMENTS_DISABLED_FIELD_NUMBER: _ClassVar[int]
    format: _audio_pb2.AudioFormat
    language_code: str
    partials_disabled: bool
    storage_disabled: bool
    title: str
    language_codes: _containers.RepeatedScalarFieldContainer[str]
    hotwords: _containers.RepeatedScalarFieldContainer[str]
    endpointing: _session_pb2.Endpointing
    partial_words_enabled: bool
    refinements_disabled: bool
    def __init__(self, format: _Optional[_Union[_audio_pb2.AudioFormat, _Mapping]] = ..., language_code: _Optional[str] = ..., partials_disabled: _Optional[bool] = ..., storage_disabled: _Optional[bool] = ..., title: _Optional[str] = ..., language_codes: _Optional[_Iterable[str]] = ..., hotwords: _Optional[_Iterable[str]] = ..., endpointing: _Optional[_Union[_session_pb2.Endpointing, _Mapping]] = ..., partial_words_enabled: _Optional[bool] = ..., refinements_disabled: _Optional[bool] = ...) -> None: ...

class Silence(_message.Message):
    __slots__ = ("duration",)
    DURATION_FIELD_NUMBER: _ClassVar[int]
    duration: _duration_pb2.Duration
    def __init__(self, duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ForceEndOfUtterance(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Keepalive(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StreamingRecognizeResponse(_message.Message):
    __slots__ = ("cursors", "session_started", "speech_started", "speech_ended", "partial", "final", "status", "refinement")
    CURSORS_FIELD_NUMBER: _ClassVar[int]
    SESSION_STARTED_FIELD_NUMBER: _ClassVar[int]
    SPEECH_STARTED_FIELD_NUMBER: _ClassVar[int]
    SPEECH_ENDED_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REFINEMENT_FIELD_NUMBER: _ClassVar[int]
    cursors: _result_pb2.Cursors
    session_started: SessionStarted
    speech_started: SpeechStarted
    speech_ended: SpeechEnded
    partial: _result_pb2.PartialResult
    final: _result_pb2.FinalResult
    status: _session_pb2.SessionStatus
    refinement: _result_pb2.RefinementResult
    def __init__(self, cursors: _Optional[_Union[_result_pb2.Cursors, _Mapping]] = ..., session_started: _Optional[_Union[SessionStarted, _Mapping]] = ..., speech_started: _Optional[_Union[SpeechStarted, _Mapping]] = ..., speech_ended: _Optional[_Union[SpeechEnded, _Mapping]] = ..., partial: _Optional[_Union[_result_pb2.PartialResult, _Mapping]] = ..., final: _Optional[_Union[_result_pb2.FinalResult, _Mapping]] = ..., status: _Optional[_Union[_session_pb2.SessionStatus, _Mapping]] = ..., refinement: _Optional[_Union[_result_pb2.RefinementResult, _Mapping]] = ...) -> None: ...

class SessionStarted(_message.Message):
    __slots__ = ("session_id", "recording_id", "transcript_id", "resume_token", "replay_from_ms", "transcript_ids", "server_version")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_ID_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REPLAY_FROM_MS_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_IDS_FIELD_NUMBER: _ClassVar[int]
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    recording_id: str
    transcript_id: str
    resume_token: str
    replay_from_ms: int
    transcript_ids: _containers.RepeatedScalarFieldContainer[str]
    server_version: str
    def __init__(self, session_id: _Optional[str] = ..., recording_id: _Optional[str] = ..., transcript_id: _Optional[str] = ..., resume_token: _Optional[str] = ..., replay_from_ms: _Optional[int] = ..., transcript_ids: _Optional[_Iterable[str]] = ..., server_version: _Optional[str] = ...) -> None: ...

class SpeechStarted(_message.Message):
    __slots__ = ("start_ms", "channel")
    START_MS_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    start_ms: int
    channel: int
    def __init__(self, start_ms: _Optional[int] = ..., channel: _Optional[int] = ...) -> None: ...

class SpeechEnded(_message.Message):
    __slots__ = ("end_ms", "channel")
    END_MS_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    end_ms: int
    channel: int
    def __init__(self, end_ms: _Optional[int] = ..., channel: _Optional[int] = ...) -> None: ...

class RecognizeRequest(_message.Message):
    __slots__ = ("format", "audio", "language_code")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_CODE_FIELD_NUMBER: _ClassVar[int]
    format: _audio_pb2.AudioFormat
    audio: bytes
    language_code: str
    def __init__(self, format: _Optional[_Union[_audio_pb2.AudioFormat, _Mapping]] = ..., audio: _Optional[bytes] = ..., language_code: _Optional[str] = ...) -> None: ...

class RecognizeResponse(_message.Message):
    __slots__ = ("results", "duration_ms")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[_result_pb2.FinalResult]
    duration_ms: int
    def __init__(self, results: _Optional[_Iterable[_Union[_result_pb2.FinalResult, _Mapping]]] = ..., duration_ms: _Optional[int] = ...) -> None: ...

class BatchRecognizeRequest(_message.Message):
    __slots__ = ("request_id", "recording_ids", "language_code")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RECORDING_IDS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_CODE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    recording_ids: _containers.RepeatedScalarFieldContainer[str]
    language_code: str
    def __init__(self, request_id: _Optional[str] = ..., recording_ids: _Optional[_Iterable[str]] = ..., language_code: _Optional[str] = ...) -> None: ...

class GetCapabilitiesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetCapabilitiesResponse(_message.Message):
    __slots__ = ("model", "language_codes", "encodings", "min_sample_rate_hz", "max_sample_rate_hz", "max_audio_bytes", "max_audio_duration", "max_chunk_bytes", "max_channels", "endpointing", "server_version")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_CODES_FIELD_NUMBER: _ClassVar[int]
    ENCODINGS_FIELD_NUMBER: _ClassVar[int]
    MIN_SAMPLE_RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    MAX_SAMPLE_RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    MAX_AUDIO_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_AUDIO_DURATION_FIELD_NUMBER: _ClassVar[int]
    MAX_CHUNK_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_CHANNELS_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTING_FIELD_NUMBER: _ClassVar[int]
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    model: str
    language_codes: _containers.RepeatedScalarFieldContainer[str]
    encodings: _containers.RepeatedScalarFieldContainer[_audio_pb2.AudioEncoding]
    min_sample_rate_hz: int
    max_sample_rate_hz: int
    max_audio_bytes: int
    max_audio_duration: _duration_pb2.Duration
    max_chunk_bytes: int
    max_channels: int
    endpointing: _session_pb2.Endpointing
    server_version: str
    def __init__(self, model: _Optional[str] = ..., language_codes: _Optional[_Iterable[str]] = ..., encodings: _Optional[_Iterable[_Union[_audio_pb2.AudioEncoding, str]]] = ..., min_sample_rate_hz: _Optional[int] = ..., max_sample_rate_hz: _Optional[int] = ..., max_audio_bytes: _Optional[int] = ..., max_audio_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_chunk_bytes: _Optional[int] = ..., max_channels: _Optional[int] = ..., endpointing: _Optional[_Union[_session_pb2.Endpointing, _Mapping]] = ..., server_version: _Optional[str] = ...) -> None: ...
