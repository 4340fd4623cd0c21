"""Formats, files and durations as the contract has them."""

import io
import wave

from ai2text.asr.v1 import audio_pb2
from google.protobuf import duration_pb2


def format_of(encoding: str, **fields: int) -> audio_pb2.AudioFormat:
    return audio_pb2.AudioFormat(encoding=audio_pb2.AudioEncoding.Value(f"AUDIO_ENCODING_{encoding}"), **fields)


def seconds(value: float) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromMilliseconds(round(value * 1000))
    return duration


def wav(data: bytes, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((channels, 2, 16_000, 0, "NONE", ""))
        out.writeframes(data)
    return file.getvalue()
