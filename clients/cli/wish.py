"""How a live session is to be transcribed."""

from dataclasses import dataclass

from ai2text.asr.v1 import audio_pb2, session_pb2, speech_service_pb2
from google.protobuf import duration_pb2

from clients.cli.pcm import BYTES_PER_MS, SAMPLE_RATE_HZ


@dataclass(frozen=True)
class Wish:
    """The fields are those of `StreamingConfig`; None keeps the server's default."""

    language_code: str = ""
    partials_disabled: bool = False
    storage_disabled: bool = False
    title: str = ""
    language_codes: tuple[str, ...] = ()
    hotwords: tuple[str, ...] = ()
    pause_ms: int | None = None
    silence_ms: int | None = None
    partial_words_enabled: bool = False
    refinements_disabled: bool = False
    channel_count: int = 1

    @property
    def bytes_per_ms(self) -> int:
        """Of the sound that is sent, all channels together."""
        return BYTES_PER_MS * self.channel_count

    def config(self) -> speech_service_pb2.StreamingConfig:
        """As the first message of a session carries it."""
        return speech_service_pb2.StreamingConfig(
            format=audio_pb2.AudioFormat(
                encoding=audio_pb2.AUDIO_ENCODING_LINEAR16,
                sample_rate_hz=SAMPLE_RATE_HZ,
                channel_count=self.channel_count,
            ),
            language_code=self.language_code,
            partials_disabled=self.partials_disabled,
            storage_disabled=self.storage_disabled,
            title=self.title,
            language_codes=self.language_codes,
            hotwords=self.hotwords,
            endpointing=self._endpointing(),
            partial_words_enabled=self.partial_words_enabled,
            refinements_disabled=self.refinements_disabled,
        )

    def _endpointing(self) -> session_pb2.Endpointing | None:
        if self.pause_ms is None and self.silence_ms is None:
            return None
        return session_pb2.Endpointing(pause=_duration(self.pause_ms), silence=_duration(self.silence_ms))


def _duration(milliseconds: int | None) -> duration_pb2.Duration | None:
    if milliseconds is None:
        return None
    return duration_pb2.Duration(seconds=milliseconds // 1000, nanos=milliseconds % 1000 * 1_000_000)
