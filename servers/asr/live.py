"""The sessions of this server: admission, feeding, and the end of those whose client has gone."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import structlog
from opentelemetry import metrics

from servers.asr import audio
from servers.asr.audio import Decoder, Samples
from servers.asr.recognition import Recognizer
from servers.asr.results import Event, Final
from servers.asr.session import Session, SessionRules, VoiceDetector
from servers.common.errors import Ai2TextError, Draining, LanguageUnsupported, Overloaded, StreamIdle

log = structlog.get_logger(__name__)

_METER = metrics.get_meter("ai2text")
SESSIONS = _METER.create_up_down_counter("ai2text.asr.sessions", description="Sessions that are open.")


T = TypeVar("T")


@dataclass(frozen=True)
class Audio:
    """Encoded bytes."""

    data: bytes


@dataclass(frozen=True)
class Decoded:
    """Samples that need no decoder."""

    heard: Samples


@dataclass(frozen=True)
class Silence:
    """Silence that the client left out."""

    duration_ms: float


@dataclass(frozen=True)
class EndUtterance:
    """The client wants the final now."""


@dataclass(frozen=True)
class Alive:
    """The client has nothing to say, but is there."""


Input = Audio | Decoded | Silence | EndUtterance | Alive


@dataclass(frozen=True)
class Limits:
    """What one server takes on."""

    max_sessions: int = 64
    idle_s: float = 60.0
    """A session on which nothing arrives for so long is ended."""
    farewell_s: float = 15.0
    """How long the finals of a session may take whose client has gone."""
    closing_s: float = 5.0
    """How long they may take when the server stops."""


class Sessions:
    """Runs sessions on one recognizer."""

    def __init__(
        self,
        recognizer: Recognizer,
        detector: Callable[[], VoiceDetector],
        languages: frozenset[str],
        rules: SessionRules,
        limits: Limits,
    ) -> None:
        self._recognizer = recognizer
        self._detector = detector
        self._languages = languages
        self._rules = rules
        self._limits = limits
        self._count = 0
        self._closing = False
        self._farewells: set[asyncio.Task[None]] = set()

    async def patiently(self, arrival: Awaitable[T]) -> T:
        """Wait for something from the client, at most as long as a session may be idle; StreamIdle after that."""
        try:
            return await asyncio.wait_for(arrival, self._limits.idle_s)
        except TimeoutError:
            limit = f"{self._limits.idle_s:g}"
            raise StreamIdle(f"nothing arrived for {limit} s; send keepalive", limit_seconds=limit) from None

    @asynccontextmanager
    async def place(self, language: str) -> AsyncIterator[None]:
        """Room for one session in `language`, for as long as the block lasts.

        Raises when none can begin: too many, model away, language unknown, shutting down.
        """
        if language and language not in self._languages:
            raise LanguageUnsupported(f"the model does not know the language {language!r}", language_code=language)
        if self._closing:
            raise Draining("this server is shutting down; connect again")
        if self._count >= self._limits.max_sessions:
            raise Overloaded(f"all {self._limits.max_sessions} sessions of this server are taken")
        self._count += 1
        SESSIONS.add(1)
        try:
            await self._recognizer.check()
            yield
        finally:
            self._count -= 1
            SESSIONS.add(-1)

    async def stream(
        self,
        language: str,
        partials: bool,
        decoder: Decoder,
        inputs: AsyncIterator[Input],
        on_final: Callable[[Final], None] | None = None,
    ) -> AsyncGenerator[Event]:
        """One session, which has its place. Ends after the last final of `inputs`.

        When it is left early, what was heard until then is still made into finals, for `on_final`; without one, all is
        dropped.
        """
        rules = replace(self._rules, language=language, partials=partials and self._rules.partials)
        session = Session(rules, decoder, self._detector(), self._recognizer, on_final)
        runner = _failing_into(session, asyncio.create_task(session.run()))
        feeder = _failing_into(session, asyncio.create_task(self._feed(session, inputs)))
        ended = False
        try:
            async for event in session.events():
                yield event
            ended = True
        except Ai2TextError:
            ended = runner.done()
            raise
        finally:
            feeder.cancel()
            if not ended and on_final is not None:
                self._say_farewell(session, runner)
            else:
                runner.cancel()
                session.close()

    async def recognize(self, language: str, decoder: Decoder, data: bytes) -> tuple[list[Final], int]:
        """The finals of one whole recording, and how long it is in milliseconds."""
        try:
            heard = np.concatenate((await decoder.feed(data), await decoder.finish()))
        finally:
            decoder.close()

        async def whole() -> AsyncIterator[Input]:
            yield Decoded(heard)

        async with aclosing(self.stream(language, False, decoder, whole())) as events:
            finals = [event.happening async for event in events if isinstance(event.happening, Final)]
        return finals, audio.milliseconds(len(heard))

    async def close(self) -> None:
        """Admit nobody any more, and let the farewells end, for a while: whoever stops us does not wait for ever."""
        self._closing = True
        if self._farewells:
            await asyncio.wait(self._farewells, timeout=self._limits.closing_s)

    async def _feed(self, session: Session, inputs: AsyncIterator[Input]) -> None:
        while True:
            match await self.patiently(anext(inputs, None)):
                case Audio(data):
                    await session.take(session.feed(data))
                case Decoded(heard):
                    await session.take(session.hear(heard))
                case Silence(duration_ms):
                    await session.take(session.silence(duration_ms))
                case EndUtterance():
                    await session.take(session.force_end())
                case None:
                    await session.take(session.finish())
                    return

    def _say_farewell(self, session: Session, runner: asyncio.Task[None]) -> None:
        """Finish a session whose client has gone, within a bound."""

        async def farewell() -> None:
            session.mute()
            try:
                async with asyncio.timeout(self._limits.farewell_s):
                    await session.settle()
                    await session.finish()
                    await runner
            except (TimeoutError, Ai2TextError) as error:
                log.warning("session left unfinished", error=repr(error))
            finally:
                runner.cancel()
                session.close()

        task = asyncio.create_task(farewell())
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)


def _failing_into(session: Session, task: asyncio.Task[None]) -> asyncio.Task[None]:
    """Let an error of the task end the session's events."""

    def done(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            session.fail(error)

    task.add_done_callback(done)
    return task
