"""One stream of a live session: it opens, carries sound up and answers down, and ends."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import grpc
from ai2text.asr.v1 import speech_service_pb2
from ai2text.asr.v1.speech_service_pb2_grpc import SpeechServiceStub
from google.protobuf import duration_pb2

from clients.cli.connection import Connect, Connection, refused_in_words
from clients.cli.patience import Stalled
from clients.cli.problem import Problem
from clients.cli.tape import Tape

Request = speech_service_pb2.StreamingRecognizeRequest
Response = speech_service_pb2.StreamingRecognizeResponse
Take = Callable[[Response], None]
Header = tuple[str, str]

METHOD = "/ai2text.asr.v1.SpeechService/StreamingRecognize"
PIECE_MS = 1_000
"""The most sound in one message, when there is so much to send."""
LONGEST_SILENCE_MS = 60_000
CALL_IS_OVER = (grpc.aio.AioRpcError, asyncio.InvalidStateError)
"""What writing to a call raises when it has ended; whoever reads it learns why."""


class Leg:
    """An open stream, on a connection of its own."""

    def __init__(self, connection: Connection, call: Any, answers: AsyncIterator[Response], first: Response) -> None:
        self.first = first
        """The answer to the first message: `session_started`."""
        self.closing = asyncio.Event()
        """Set when the server has said that it will soon end the stream."""
        self._connection = connection
        self._call = call
        self._answers = answers
        self._resources = contextlib.AsyncExitStack()
        self._over: asyncio.Task[None] | None = None
        self._stalled_after_s = 0.0
        self._deadline: asyncio.Timeout | None = None
        self._half_closed = False

    @classmethod
    async def opened(cls, connect: Connect, headers: Sequence[Header], first: Request, within_s: float) -> "Leg":
        """Opens a stream that begins with `first`. It has begun when the server has answered: sound that is sent
        earlier would, in grpc.aio, hide the status of a refusal. Raises Refusal, and Stalled after `within_s`.
        """
        async with contextlib.AsyncExitStack() as resources:
            connection = await resources.enter_async_context(connect())
            metadata = resources.enter_context(connection.traced(METHOD))
            call: Any = SpeechServiceStub(connection.channel).StreamingRecognize(metadata=(*metadata, *headers))
            resources.callback(call.cancel)
            answers = await resources.enter_async_context(contextlib.aclosing(aiter(call)))
            with refused_in_words(connection.endpoint), _answered(within_s):
                async with asyncio.timeout(within_s):
                    with contextlib.suppress(*CALL_IS_OVER):
                        await call.write(first)
                    leg = cls(connection, call, answers, await anext(answers))
            leg._resources = resources.pop_all()
            return leg

    def carry(self, tape: Tape, position: int, take: Take, stalled_after_s: float) -> None:
        """From now on the tape is sent from `position` on, and each answer is given to `take`.

        The stream is over, too, when for `stalled_after_s` nothing went either way.
        """
        self._stalled_after_s = stalled_after_s
        self._over = asyncio.create_task(self._carried(tape, position, take), name="carry")

    async def over_or_closing(self) -> None:
        """Returns when the stream has ended, or will soon."""
        closing = asyncio.create_task(self.closing.wait())
        try:
            await asyncio.wait({closing, self._carrying}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            closing.cancel()

    @property
    def is_over(self) -> bool:
        """Whether the stream has ended."""
        return self._carrying.done()

    @property
    def is_finished(self) -> bool:
        """Whether the server has ended the stream in order, after the last final."""
        return self.is_over and self.failure is None

    @property
    def failure(self) -> Problem | None:
        """What ended the stream; None as long as nothing has. Raises what is a fault of ours."""
        error = self._carrying.exception() if self.is_over else None
        if error is None or isinstance(error, Problem):
            return error
        raise error

    async def leave(self) -> None:
        """Ends the stream if it goes on still, and the connection."""
        if self._over is not None:
            self._over.cancel()
            await asyncio.gather(self._over, return_exceptions=True)
        await self._resources.aclose()

    @property
    def _carrying(self) -> asyncio.Task[None]:
        if self._over is None:
            raise RuntimeError("nothing is carried yet")
        return self._over

    async def _carried(self, tape: Tape, position: int, take: Take) -> None:
        async with self._unless_stalled():
            sender = asyncio.create_task(self._send(tape, position), name="send sound")
            try:
                await self._receive(take)
            finally:
                sender.cancel()
                await asyncio.gather(sender, return_exceptions=True)
        if not self._half_closed:
            raise Problem("The server ended the stream before the audio was over.")

    async def _receive(self, take: Take) -> None:
        with refused_in_words(self._connection.endpoint):
            async for response in self._answers:
                self._progressed()
                if response.status.HasField("closing_in"):
                    self.closing.set()
                take(response)

    async def _send(self, tape: Tape, position: int) -> None:
        """Sends the tape and then the end. Silence stands for what the tape has forgotten."""
        with contextlib.suppress(*CALL_IS_OVER):
            while piece := await self._next(tape, position := await self._caught_up(tape, position)):
                await self._write(Request(audio=piece))
                position += len(piece)
            self._half_closed = True
            await self._call.done_writing()

    async def _caught_up(self, tape: Tape, position: int) -> int:
        """Where to go on: `position`, or when the tape has forgotten what lies there, its start."""
        while position < (start := tape.start):
            for silence in silences((start - position) // tape.bytes_per_ms):
                await self._write(silence)
            position = start
        return position

    async def _next(self, tape: Tape, position: int) -> bytes:
        """What follows, when it may; while the source is silent, a message now and then says that we are there."""
        await tape.let_settle(position)  # without such messages: a server that settles nothing is one that hangs
        while True:
            try:
                async with asyncio.timeout(self._stalled_after_s / 4):
                    return await tape.read(position, PIECE_MS * tape.bytes_per_ms)
            except TimeoutError:
                await self._write(Request(keepalive=speech_service_pb2.Keepalive()))

    async def _write(self, request: Request) -> None:
        await self._call.write(request)
        self._progressed()

    @contextlib.asynccontextmanager
    async def _unless_stalled(self) -> AsyncIterator[None]:
        """Ends the block with Stalled when `_progressed` was not called for too long."""
        with _answered(self._stalled_after_s):
            async with asyncio.timeout(self._stalled_after_s) as self._deadline:
                yield

    def _progressed(self) -> None:
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._stalled_after_s)


def silences(milliseconds: int) -> Iterator[Request]:
    """Messages that stand for so much silence; none for a negative amount."""
    for begin in range(0, milliseconds, LONGEST_SILENCE_MS):
        lasts = min(LONGEST_SILENCE_MS, milliseconds - begin)
        duration = duration_pb2.Duration(seconds=lasts // 1000, nanos=lasts % 1000 * 1_000_000)
        yield Request(silence=speech_service_pb2.Silence(duration=duration))


@contextlib.contextmanager
def _answered(within_s: float) -> Iterator[None]:
    """Within the block what asyncio says of a time that is over, or of an end, becomes words."""
    try:
        yield
    except TimeoutError:
        raise Stalled(f"The stream made no progress for {within_s:.3g} s and was given up.") from None
    except StopAsyncIteration:
        raise Problem("The server ended the stream before it began.") from None
