"""From the messages of the contract to the domain: what is wrong with a request is said here."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from ai2text.asr.v1 import audio_pb2, session_pb2, speech_service_pb2
from google.protobuf import duration_pb2

from servers.asr.audio import Decoder
from servers.asr.decoding import ContainerDecoder, PcmDecoder
from servers.asr.endpointing import EndpointRules
from servers.asr.inputs import Alive, Audio, EndUtterance, Input, Silence
from servers.asr.session import SessionRules
from servers.asr.utterance import Manner
from servers.common.bounds import MAX_CHANNELS
from servers.common.errors import AudioTooLarge, ConfigOutOfOrder, EncodingUnsupported, FieldInvalid

MIN_SAMPLE_RATE = 8_000
MAX_SAMPLE_RATE = 48_000
MAX_CHUNK_BYTES = 1024 * 1024
MAX_AUDIO_BYTES = 32 * 1024 * 1024
MAX_AUDIO_S = 600
MAX_SILENCE_S = 60
MAX_TITLE = 200
MAX_LANGUAGES = 10
MAX_HOTWORDS = 50
MAX_HOTWORD = 60

CONTAINERS = {
    audio_pb2.AUDIO_ENCODING_WAV: "wav",
    audio_pb2.AUDIO_ENCODING_FLAC: "flac",
    audio_pb2.AUDIO_ENCODING_OGG: "ogg",
    audio_pb2.AUDIO_ENCODING_WEBM: "webm",
    audio_pb2.AUDIO_ENCODING_MP3: "mp3",
}
ENCODINGS = (audio_pb2.AUDIO_ENCODING_LINEAR16, *CONTAINERS)


def decoder(format: audio_pb2.AudioFormat, max_s: float = float("inf")) -> Decoder:
    """The decoder of a format; EncodingUnsupported or FieldInvalid when there is none."""
    rate, channels = format.sample_rate_hz, format.channel_count
    if channels > MAX_CHANNELS:
        raise FieldInvalid("format.channel_count", f"must be at most {MAX_CHANNELS}, not {channels}")
    if format.encoding in CONTAINERS:
        if rate:
            raise FieldInvalid("format.sample_rate_hz", "must be 0: the encoding carries its own")
        return ContainerDecoder(CONTAINERS[format.encoding], channels, max_s)
    if format.encoding != audio_pb2.AUDIO_ENCODING_LINEAR16:
        raise EncodingUnsupported("format.encoding must be one of GetCapabilities.encodings")
    if not MIN_SAMPLE_RATE <= rate <= MAX_SAMPLE_RATE:
        raise FieldInvalid("format.sample_rate_hz", f"must be {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE}, not {rate}")
    return PcmDecoder(rate, channels or 1)


def whole_audio(request: speech_service_pb2.RecognizeRequest) -> bytes:
    """The audio of a short recording, neither missing nor too large."""
    if not request.audio:
        raise FieldInvalid("audio", "is missing")
    too_long = request.format.encoding == audio_pb2.AUDIO_ENCODING_LINEAR16 and len(
        request.audio
    ) > MAX_AUDIO_S * 2 * request.format.sample_rate_hz * max(1, request.format.channel_count)
    if len(request.audio) > MAX_AUDIO_BYTES:
        limit = f"the audio has {len(request.audio)} bytes, more than {MAX_AUDIO_BYTES}; send it as a stream"
        raise AudioTooLarge(limit, limit_bytes=str(MAX_AUDIO_BYTES))
    if too_long:
        raise AudioTooLarge(f"the audio is longer than {MAX_AUDIO_S} s", limit_seconds=str(MAX_AUDIO_S))
    return request.audio


async def first(
    requests: AsyncIterator[speech_service_pb2.StreamingRecognizeRequest],
) -> speech_service_pb2.StreamingConfig | session_pb2.Resume:
    """What a stream begins with."""
    message = await anext(requests, None)
    if message is not None and message.HasField("config"):
        return message.config
    if message is not None and message.HasField("resume"):
        return message.resume
    raise ConfigOutOfOrder("the first message of a stream must be config or resume")


def rules(config: speech_service_pb2.StreamingConfig, defaults: SessionRules) -> SessionRules:
    """How the session is to behave; FieldInvalid when the config is wrong."""
    if len(config.title) > MAX_TITLE or "\0" in config.title:
        raise FieldInvalid("config.title", f"must have at most {MAX_TITLE} characters, none of them NUL")
    return replace(
        defaults,
        manner=Manner(",".join(languages(config)), _hotwords(list(config.hotwords)), config.partial_words_enabled),
        channels=max(1, config.format.channel_count),
        partials=not config.partials_disabled,
        refinements=not config.refinements_disabled,
        endpoint=endpoint_rules(config.endpointing, defaults.endpoint),
    )


def languages(config: speech_service_pb2.StreamingConfig) -> tuple[str, ...]:
    """The languages that may be spoken; none: any."""
    allowed = tuple(config.language_codes)
    if config.language_code and allowed:
        raise FieldInvalid("config.language_codes", "goes without language_code")
    if len(allowed) > MAX_LANGUAGES:
        raise FieldInvalid("config.language_codes", f"must be at most {MAX_LANGUAGES}")
    return (config.language_code,) if config.language_code else allowed


def _hotwords(words: list[str]) -> str:
    if len(words) > MAX_HOTWORDS:
        raise FieldInvalid("config.hotwords", f"must be at most {MAX_HOTWORDS}")
    for word in words:
        if not word.strip() or len(word) > MAX_HOTWORD or any(mark in word for mark in ",\n\0"):
            raise FieldInvalid("config.hotwords", f"must each have 1 to {MAX_HOTWORD} characters, no comma or line end")
    return ", ".join(word.strip() for word in words)


def endpoint_rules(asked: session_pb2.Endpointing, defaults: EndpointRules) -> EndpointRules:
    """The rules with what is asked for; FieldInvalid when it is out of range."""
    tuned = replace(
        defaults,
        pause_ms=_milliseconds(asked, "pause", 64, 2_000, defaults.pause_ms),
        silence_ms=_milliseconds(asked, "silence", 192, 5_000, defaults.silence_ms),
        long_utterance_silence_ms=_milliseconds(
            asked, "long_utterance_silence", 64, 5_000, defaults.long_utterance_silence_ms
        ),
        max_utterance_ms=_milliseconds(asked, "max_utterance", 2_000, 27_000, defaults.max_utterance_ms),
        start_probability=_probability(asked, "start_probability", defaults.start_probability),
        stop_probability=_probability(asked, "stop_probability", defaults.stop_probability),
    )
    if not asked.HasField("long_utterance_silence"):
        least = tuned.silence_ms if asked.HasField("silence") else defaults.long_utterance_silence_ms
        tuned = replace(tuned, long_utterance_silence_ms=max(least, tuned.pause_ms))
    if asked.HasField("start_probability") and not asked.HasField("stop_probability"):
        tuned = replace(tuned, stop_probability=min(tuned.stop_probability, tuned.start_probability))
    if not tuned.pause_ms <= tuned.long_utterance_silence_ms <= tuned.silence_ms:
        raise FieldInvalid("config.endpointing", "needs pause <= long_utterance_silence <= silence")
    if tuned.stop_probability > tuned.start_probability:
        raise FieldInvalid("config.endpointing.stop_probability", "must not be above start_probability")
    return tuned


def _milliseconds(asked: session_pb2.Endpointing, name: str, least: int, most: int, default: int) -> int:
    if not asked.HasField(name):
        return default
    duration: duration_pb2.Duration = getattr(asked, name)
    ms = round(duration.seconds * 1000 + duration.nanos / 1e6)
    if not least <= ms <= most:
        raise FieldInvalid(f"config.endpointing.{name}", f"must be {least} ms to {most} ms, not {ms} ms")
    return ms


def _probability(asked: session_pb2.Endpointing, name: str, default: float) -> float:
    if not asked.HasField(name):
        return default
    probability = float(getattr(asked, name))
    if not 0 < probability < 1:
        raise FieldInvalid(f"config.endpointing.{name}", "must be above 0 and below 1")
    return probability


def check_resume(resume: session_pb2.Resume) -> None:
    """FieldInvalid when something is missing."""
    for name in ("session_id", "resume_token"):
        if not 0 < len(getattr(resume, name)) <= 100:
            raise FieldInvalid(f"resume.{name}", "is missing or too long")


async def inputs(requests: AsyncIterator[Any], format: audio_pb2.AudioFormat) -> AsyncIterator[Input]:
    """What comes after the first message: StreamingRecognizeRequest or PushAudioRequest, whose payloads are alike."""
    async for request in requests:
        match request.WhichOneof("payload"):
            case "audio":
                yield Audio(chunk(request.audio))
            case "silence":
                yield silence(request.silence, format)
            case "force_end_of_utterance":
                yield EndUtterance()
            case "keepalive":
                yield Alive()
            case "config" | "resume":
                raise ConfigOutOfOrder("config and resume may only be the first message of a stream")
            case _:
                raise FieldInvalid("payload", "is missing")


def chunk(data: bytes) -> bytes:
    """The audio of one message, not too large."""
    if len(data) > MAX_CHUNK_BYTES:
        message = f"an audio message has {len(data)} bytes, more than {MAX_CHUNK_BYTES}; send smaller ones"
        raise AudioTooLarge(message, limit_bytes=str(MAX_CHUNK_BYTES))
    return data


def silence(silence: speech_service_pb2.Silence, format: audio_pb2.AudioFormat) -> Silence:
    """The silence of one message; FieldInvalid when it is none or too long, or cannot be left out of the format."""
    if format.encoding != audio_pb2.AUDIO_ENCODING_LINEAR16:
        raise FieldInvalid("silence", "goes with LINEAR16 only: a container has its own clock")
    ms = 1000 * silence.duration.seconds + silence.duration.nanos / 1e6
    if not 0 < ms <= 1000 * MAX_SILENCE_S:
        raise FieldInvalid("silence.duration", f"must be above 0 and at most {MAX_SILENCE_S} s")
    return Silence(ms)
