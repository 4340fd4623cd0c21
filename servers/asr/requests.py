"""From the messages of the contract to the domain: what is wrong with a request is said here."""

from collections.abc import AsyncIterator

from ai2text.asr.v1 import audio_pb2, speech_service_pb2

from servers.asr.audio import Decoder
from servers.asr.decoding import ContainerDecoder, PcmDecoder
from servers.asr.live import Alive, Audio, EndUtterance, Input, Silence
from servers.common.errors import AudioTooLarge, ConfigOutOfOrder, EncodingUnsupported, FieldInvalid

MIN_SAMPLE_RATE = 8_000
MAX_SAMPLE_RATE = 48_000
MAX_CHUNK_BYTES = 1024 * 1024
MAX_AUDIO_BYTES = 32 * 1024 * 1024
MAX_AUDIO_S = 600
MAX_SILENCE_S = 60
MAX_TITLE = 200

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
    rate = format.sample_rate_hz
    if format.encoding in CONTAINERS:
        if rate:
            raise FieldInvalid("format.sample_rate_hz", "must be 0: the encoding carries its own")
        return ContainerDecoder(CONTAINERS[format.encoding], max_s)
    if format.encoding != audio_pb2.AUDIO_ENCODING_LINEAR16:
        raise EncodingUnsupported("format.encoding must be one of GetCapabilities.encodings")
    if not MIN_SAMPLE_RATE <= rate <= MAX_SAMPLE_RATE:
        raise FieldInvalid("format.sample_rate_hz", f"must be {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE}, not {rate}")
    return PcmDecoder(rate)


def whole_audio(request: speech_service_pb2.RecognizeRequest) -> bytes:
    """The audio of a short recording, neither missing nor too large."""
    if not request.audio:
        raise FieldInvalid("audio", "is missing")
    too_long = (
        request.format.encoding == audio_pb2.AUDIO_ENCODING_LINEAR16
        and len(request.audio) > MAX_AUDIO_S * 2 * request.format.sample_rate_hz
    )
    if len(request.audio) > MAX_AUDIO_BYTES:
        limit = f"the audio has {len(request.audio)} bytes, more than {MAX_AUDIO_BYTES}; send it as a stream"
        raise AudioTooLarge(limit, limit_bytes=str(MAX_AUDIO_BYTES))
    if too_long:
        raise AudioTooLarge(f"the audio is longer than {MAX_AUDIO_S} s", limit_seconds=str(MAX_AUDIO_S))
    return request.audio


async def config(
    requests: AsyncIterator[speech_service_pb2.StreamingRecognizeRequest],
) -> speech_service_pb2.StreamingConfig:
    """The config that a stream begins with."""
    first = await anext(requests, None)
    if first is None or first.WhichOneof("payload") != "config":
        raise ConfigOutOfOrder("the first message of a stream must be config")
    if len(first.config.title) > MAX_TITLE or "\0" in first.config.title:
        raise FieldInvalid("config.title", f"must have at most {MAX_TITLE} characters, none of them NUL")
    return first.config


async def inputs(
    requests: AsyncIterator[speech_service_pb2.StreamingRecognizeRequest], format: audio_pb2.AudioFormat
) -> AsyncIterator[Input]:
    """What comes after the config."""
    async for request in requests:
        match request.WhichOneof("payload"):
            case "audio":
                yield Audio(_chunk(request.audio))
            case "silence":
                yield _silence(request.silence, format)
            case "force_end_of_utterance":
                yield EndUtterance()
            case "keepalive":
                yield Alive()
            case "config":
                raise ConfigOutOfOrder("config may only be the first message of a stream")
            case _:
                raise FieldInvalid("payload", "is missing")


def _chunk(data: bytes) -> bytes:
    if len(data) > MAX_CHUNK_BYTES:
        message = f"an audio message has {len(data)} bytes, more than {MAX_CHUNK_BYTES}; send smaller ones"
        raise AudioTooLarge(message, limit_bytes=str(MAX_CHUNK_BYTES))
    return data


def _silence(silence: speech_service_pb2.Silence, format: audio_pb2.AudioFormat) -> Silence:
    if format.encoding != audio_pb2.AUDIO_ENCODING_LINEAR16:
        raise FieldInvalid("silence", "goes with LINEAR16 only: a container has its own clock")
    seconds = silence.duration.seconds + silence.duration.nanos / 1e9
    if not 0 < seconds <= MAX_SILENCE_S:
        raise FieldInvalid("silence.duration", f"must be above 0 and at most {MAX_SILENCE_S} s")
    return Silence(seconds * 1000)
