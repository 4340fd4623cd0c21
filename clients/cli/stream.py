"""One source spoken to the mesh: at which pace sound goes up, and how late each answer comes down."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from ai2text.asr.v1 import speech_service_pb2

from clients.cli.connection import Connect
from clients.cli.live_stream import PATIENT_FOR_S, STALLED_AFTER_S, LiveStream, Resumption
from clients.cli.pacing import SentLog, paced
from clients.cli.pcm import FILE_CHUNK_MS, LIVE_CHUNK_MS
from clients.cli.sources import Source
from clients.cli.wish import Wish

Response = speech_service_pb2.StreamingRecognizeResponse


@dataclass(frozen=True)
class Heard:
    """One answer of the server and how late it is."""

    response: Response
    latency_ms: int | None
    """From when the sound it is about was there until its arrival; None for what is not about sound."""


Show = Callable[[Heard], None]
Tell = Callable[[Resumption], None]


class SpeechStream:
    """Streams one source and shows what comes back. For one use."""

    def __init__(
        self,
        connect: Connect,
        wish: Wish,
        tell: Tell = lambda _: None,
        patience_s: float = PATIENT_FOR_S,
        stalled_after_s: float = STALLED_AFTER_S,
    ) -> None:
        self.stop = asyncio.Event()
        """Set it to end the sound here; what was heard is still finished."""
        self._connect = connect
        self._wish = wish
        self._tell = tell
        self._patience_s = patience_s
        self._stalled_after_s = stalled_after_s
        self._sent = SentLog(wish.bytes_per_ms)

    async def live(self, source: Source, show: Show, speed: float = 1.0) -> None:
        """At the pace of speech, times `speed`. Returns when the last final was shown. Raises Problem."""
        pace = None if source.is_live else speed
        chunks = paced(source.chunks(LIVE_CHUNK_MS), pace, self.stop, self._wish.bytes_per_ms)
        await self._run(chunks, show, live=source.is_live)

    async def unpaced(self, source: Source, show: Show) -> None:
        """As fast as the server takes it, when it takes it. Returns when the last final was shown. Raises Problem."""
        await self._run(paced(source.chunks(FILE_CHUNK_MS), None, self.stop), show, unhurried=True)

    async def _run(self, chunks: AsyncIterator[bytes], show: Show, unhurried: bool = False, live: bool = False) -> None:
        stream = LiveStream(
            self._connect,
            self._wish,
            on_response=lambda response: show(self._heard(response)),
            on_resumption=self._tell,
            patience_s=self._patience_s,
            stalled_after_s=self._stalled_after_s,
            unhurried=unhurried,
            live=live,
        )
        try:
            await stream.run(self._noted(chunks))
        finally:
            self.stop.set()

    async def _noted(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self._sent.note(len(chunk), asyncio.get_running_loop().time())
            yield chunk

    def _heard(self, response: Response) -> Heard:
        now = asyncio.get_running_loop().time()
        position = position_ms(response)
        latency = None if position is None else self._sent.latency_ms(position, now)
        return Heard(response, latency)


def position_ms(response: Response) -> int | None:
    """Up to where in the sound a response speaks; None when it is not about sound."""
    match response.WhichOneof("event"):
        case "speech_started":
            return response.speech_started.start_ms
        case "speech_ended":
            return response.speech_ended.end_ms
        case "partial":
            return response.partial.end_ms
        case "final":
            return response.final.end_ms
    return None
