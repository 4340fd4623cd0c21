"""One live stream: sound goes up while captions come down."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
from ai2text.asr.v1 import audio_pb2, speech_service_pb2
from ai2text.asr.v1.speech_service_pb2_grpc import SpeechServiceStub

from clients.cli.connection import Connection, refused_in_words
from clients.cli.pacing import SentLog, paced
from clients.cli.patience import Patience
from clients.cli.pcm import FILE_CHUNK_MS, LIVE_CHUNK_MS, SAMPLE_RATE_HZ
from clients.cli.problem import Problem
from clients.cli.refusal import Refusal
from clients.cli.sources import Source

STALLED_AFTER_S = 60.0
"""How long a stream may make no progress in either direction."""


Response = speech_service_pb2.StreamingRecognizeResponse


@dataclass(frozen=True)
class Heard:
    """One answer of the server and how late it is."""

    response: Response
    latency_ms: int | None
    """From the sending of the audio it is about until its arrival; None for what is not about audio."""


Show = Callable[[Heard], None]

CALL_IS_OVER = (grpc.aio.AioRpcError, asyncio.InvalidStateError)
"""What writing to a call raises when it has ended; whoever reads it learns why."""


@dataclass(frozen=True)
class Wish:
    """How a stream is to be transcribed; the fields are those of `StreamingConfig`."""

    language_code: str = ""
    partials_disabled: bool = False
    storage_disabled: bool = False
    title: str = ""

    def config(self) -> speech_service_pb2.StreamingRecognizeRequest:
        """The first message of the stream."""
        return speech_service_pb2.StreamingRecognizeRequest(
            config=speech_service_pb2.StreamingConfig(
                format=audio_pb2.AudioFormat(encoding=audio_pb2.AUDIO_ENCODING_LINEAR16, sample_rate_hz=SAMPLE_RATE_HZ),
                language_code=self.language_code,
                partials_disabled=self.partials_disabled,
                storage_disabled=self.storage_disabled,
                title=self.title,
            )
        )


class SpeechStream:
    """Streams one source and shows what comes back. For one use."""

    def __init__(self, connection: Connection, wish: Wish, stalled_after_s: float = STALLED_AFTER_S) -> None:
        self.stop = asyncio.Event()
        """Set it to end the audio here; what was heard is still finished."""
        self._connection = connection
        self._wish = wish
        self._stalled_after_s = stalled_after_s
        self._sent = SentLog()
        self._deadline: asyncio.Timeout | None = None
        self._audio_is_over = False

    async def live(self, source: Source, show: Show, speed: float = 1.0) -> None:
        """At the pace of speech, times `speed`. Returns when the last final was shown. Raises Problem."""
        chunks = source.chunks(LIVE_CHUNK_MS)
        await self._run(paced(chunks, None if source.is_live else speed, self.stop), show)

    async def unpaced(self, source: Source, show: Show) -> None:
        """As fast as the server takes it. Returns when the last final was shown. Raises Problem."""
        await self._run(paced(source.chunks(FILE_CHUNK_MS), None, self.stop), show)

    async def _run(self, audio: AsyncIterator[bytes], show: Show) -> None:
        async with self._unless_stalled():
            call, answers, first = await self._opened()
            show(self._heard(first))
            sender = asyncio.create_task(self._send(call, audio), name="send audio")
            try:
                await self._receive(answers, show)
                await self._settle(sender)
            finally:
                self.stop.set()
                sender.cancel()
                await asyncio.gather(sender, return_exceptions=True)
                call.cancel()

    async def _opened(self) -> tuple[Any, AsyncIterator[Response], Response]:
        """The call, its answers, and the first of them: the config is accepted, so the audio may begin.

        Tries again as long as the server says that it will soon be back. Raises Refusal.
        """
        stub, patience = SpeechServiceStub(self._connection.channel), Patience()
        while True:
            call: Any = stub.StreamingRecognize(metadata=self._connection.metadata)
            try:
                with refused_in_words(self._connection.endpoint):
                    with contextlib.suppress(*CALL_IS_OVER):
                        await call.write(self._wish.config())
                    answers = aiter(call)
                    return call, answers, await anext(answers)
            except Refusal as refusal:
                await patience.wait_or_raise(refusal)
            except StopAsyncIteration:
                raise Problem("The server ended the stream before it began.") from None

    async def _receive(self, answers: AsyncIterator[Response], show: Show) -> None:
        with refused_in_words(self._connection.endpoint):
            async for response in answers:
                self._progressed()
                show(self._heard(response))

    @contextlib.asynccontextmanager
    async def _unless_stalled(self) -> AsyncIterator[None]:
        """Ends the block with a Problem when `_progressed` was not called for `stalled_after_s`."""
        try:
            async with asyncio.timeout(self._stalled_after_s) as self._deadline:
                yield
        except TimeoutError:
            raise Problem(f"The stream made no progress for {self._stalled_after_s:.3g} s and was given up.") from None
        finally:
            self._deadline = None

    async def _send(self, call: Any, audio: AsyncIterator[bytes]) -> None:
        """Sends the audio and the end. When the source fails, the end is sent all the same, and then it raises."""
        with contextlib.suppress(*CALL_IS_OVER):
            try:
                async for chunk in audio:
                    self._sent.note(len(chunk), asyncio.get_running_loop().time())
                    await call.write(speech_service_pb2.StreamingRecognizeRequest(audio=chunk))
                    self._progressed()
                self._audio_is_over = True
            finally:
                await call.done_writing()

    async def _settle(self, sender: asyncio.Task[None]) -> None:
        """The server has ended the stream in order. Raises what went wrong on our side, or that it was too early."""
        await asyncio.wait({sender}, timeout=1.0)
        if sender.done():
            sender.result()
        if not self._audio_is_over:
            raise Problem("The server ended the stream before the audio was over.")

    def _progressed(self) -> None:
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._stalled_after_s)

    def _heard(self, response: Response) -> Heard:
        now = asyncio.get_running_loop().time()
        position = position_ms(response)
        latency = None if position is None else self._sent.latency_ms(position, now)
        return Heard(response, latency)


def position_ms(response: Response) -> int | None:
    """Up to where in the audio a response speaks; None when it is not about audio."""
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
