"""The sessions of this server: admission, feeding, resuming, and the end of those whose client has gone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from opentelemetry import metrics

from servers.asr.audio import Decoder
from servers.asr.changes import Changes
from servers.asr.inputs import Audio, EndUtterance, Input, Silence
from servers.asr.keeping import TicketKeeper, hashed, progress_of
from servers.asr.parking import Guest, Parking
from servers.asr.results import Cursors, Event, Final
from servers.asr.scheduling import Scheduler
from servers.asr.session import NoKeeper, Progress, Session, SessionRules
from servers.asr.tickets import Found, Ticket, TicketStore
from servers.asr.track import VoiceDetector
from servers.asr.wording import NoRefiner, Refiner
from servers.common.errors import (
    Ai2TextError,
    Draining,
    FieldInvalid,
    FinalsForgotten,
    LanguageUnsupported,
    Overloaded,
    SessionNotFound,
    SessionTakenOver,
    StreamIdle,
)

_METER = metrics.get_meter("ai2text")
SESSIONS = _METER.create_up_down_counter("ai2text.asr.sessions", description="Sessions that are open or parked.")
REFUSED = _METER.create_counter("ai2text.asr.refused", description="Sessions refused, by reason.")
RESUMED = _METER.create_counter("ai2text.asr.resumed", description="Sessions that were resumed here.")

WHOLE_STEP_BYTES = 128 * 1024
"""A whole recording is decoded by steps of this size: PCM is resampled between the events of all live sessions, and 32
MiB at once would hold them up for most of a second."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one server takes on."""

    max_sessions: int = 200
    idle_s: float = 60.0
    """A session on which nothing arrives for so long is ended."""
    lost_s: float = 0.05
    """How long a connection that is lost may look like a client that has finished: nothing is ended before."""
    parked_s: float = 30.0
    """How long a session whose client has gone may be resumed before it is finished."""
    farewell_s: float = 15.0
    """How long its finals may take then."""
    leave_s: float = 2.0
    """How long a stream may go on after its session has failed: a client that reads nothing would hold it for ever."""
    closing_s: float = 5.0
    """How long sessions may take when the server stops."""
    refresh_s: float = 30.0
    """How often the ticket of a session is written when nothing is said."""
    behind_s: float = 1.0
    """How soon it is written again when that failed."""


@dataclass(frozen=True)
class Opening:
    """A session to begin or to go on with."""

    rules: SessionRules
    decoder: Decoder
    ticket: Ticket
    store_final: Callable[[Final], None]
    """Takes a final to be stored; returns at once. It may be told the same final twice."""
    finals: tuple[Final, ...] = ()
    """Those to be told again."""

    @property
    def progress(self) -> Progress:
        """How far the session has come."""
        return progress_of(self.ticket)


class LiveSession:
    """A session with a client at its other end."""

    def __init__(self, session: Session, finals: tuple[Final, ...]) -> None:
        self.ended = False
        self._session = session
        self._finals = finals

    @property
    def cursors(self) -> Cursors:
        """How far it has come."""
        return self._session.cursors

    @property
    def credit_ms(self) -> int:
        """How much more audio is taken before the client is held back."""
        return self._session.credit_ms

    @property
    def failure(self) -> BaseException | None:
        """What it has failed with: who does not read `events()` is not told, and is cancelled after `leave_s`."""
        return self._session.failure

    async def events(self) -> AsyncIterator[Event]:
        """What happens, and first the finals to be told again, until the session is finished or fails."""
        for final in self._finals:
            yield Event(replace(self.cursors, final_index=final.final_index + 1), final)
        async for event in self._session.events():
            yield event
        self.ended = True


class Sessions:
    """Runs sessions on one scheduler."""

    def __init__(
        self,
        scheduler: Scheduler,
        detector: Callable[[], VoiceDetector],
        languages: frozenset[str],
        tickets: TicketStore,
        refiner: Refiner,
        limits: Limits,
    ) -> None:
        self._scheduler = scheduler
        self._detector = detector
        self._languages = languages
        self._tickets = tickets
        self._refiner = refiner
        self._limits = limits
        self._count = 0
        self._closing = False
        self._changes = Changes()
        self._live: set[Guest] = set()
        self._parking = Parking(limits.parked_s, limits.farewell_s, limits.closing_s)

    async def patiently(self, awaited: Awaitable[T]) -> T:
        """What the client sends next; StreamIdle when it takes too long."""
        try:
            async with asyncio.timeout(self._limits.idle_s):
                return await awaited
        except TimeoutError:
            limit = f"{self._limits.idle_s:g}"
            raise StreamIdle(f"nothing arrived for {limit} s", limit_seconds=limit) from None

    def check_languages(self, codes: tuple[str, ...]) -> None:
        """LanguageUnsupported names the first that the model does not know."""
        for code in codes:
            if code not in self._languages:
                raise LanguageUnsupported(f"the model does not know the language {code!r}", language_code=code)

    async def claim(
        self,
        session_id: str,
        tenant: str,
        subject: str,
        token: str,
        next_final_index: int,
        check: Callable[[Ticket], object],
    ) -> Found:
        """Take a session over, from whichever server has it. FinalsForgotten when not all finals from
        `next_final_index` on are kept, what `check` raises when this server cannot do what the session was begun for,
        Overloaded, Draining or DependencyUnavailable when there is no place for it, or no model: who is refused has
        taken nothing over. A last place that somebody else takes in the moment after is missed by `open`; the session
        can be claimed again then."""
        owner = (session_id, tenant, subject, hashed(token))
        check(_check_finals(await self._tickets.find(*owner), next_final_index).ticket)
        await self._scheduler.check()
        with _refusals_counted():
            self._refuse_when_closing()
            if not self._has(session_id):  # else its own place comes free
                self._refuse_when_full()
        claimed = _check_finals(await self._tickets.claim(*owner), next_final_index)
        await self._drop(session_id)
        RESUMED.add(1)
        return claimed

    @asynccontextmanager
    async def open(self, opening: Opening, inputs: AsyncIterator[Input]) -> AsyncIterator[LiveSession]:
        """Run one session. Who leaves before `events()` has ended leaves the session parked, to be resumed.

        Overloaded, Draining or DependencyUnavailable when there is no room, or no model.
        """
        leave = await self._enter(resumed=opening.ticket.epoch > 0)
        keeper = TicketKeeper(self._tickets, opening.ticket, opening.store_final)
        session = Session(
            opening.rules, opening.decoder, self._detector, self._scheduler, self._refiner, keeper, opening.progress
        )
        live = LiveSession(session, opening.finals)
        runner = _failing_into(session, asyncio.create_task(session.run()))
        beside = [
            _failing_into(session, asyncio.create_task(self._feed(session, inputs))),
            _failing_into(session, asyncio.create_task(self._refresh(session, keeper))),
            asyncio.create_task(self._evict(session, asyncio.current_task())),
        ]
        guest = Guest(opening.ticket.session_id, session, keeper, runner, leave)
        self._live.add(guest)
        try:
            yield live
        finally:
            for task in beside:
                task.cancel()
            self._live.remove(guest)
            self._changes.tell()
            if live.ended or runner.done() or session.taken_over:
                guest.end()
            else:
                self._parking.park(guest)

    async def recognize(self, rules: SessionRules, decoder: Decoder, data: bytes) -> tuple[list[Final], int]:
        """The finals of one whole recording, and how long it is in milliseconds."""
        leave = await self._enter(resumed=False)
        session = Session(rules, decoder, self._detector, self._scheduler, NoRefiner(), NoKeeper())
        runner = _failing_into(session, asyncio.create_task(session.run()))
        feeder = _failing_into(session, asyncio.create_task(_feed_whole(session, data)))
        try:
            finals = [event.happening async for event in session.events() if isinstance(event.happening, Final)]
            return finals, session.cursors.received_ms
        finally:
            feeder.cancel()
            runner.cancel()
            session.close()
            leave()

    async def drain(self, closing_in_s: float) -> None:
        """Admit nobody any more, and ask the clients to go on elsewhere; in the end, end the streams that are left."""
        self._closing = True
        self._parking.hurry()
        behind = [guest for guest in self._live if guest.keeper.behind]
        # Who is told to go on elsewhere goes at once. A session that is no longer ours has gone already.
        await asyncio.gather(*(guest.keeper.save(guest.session.progress) for guest in behind), return_exceptions=True)
        for guest in self._live:
            guest.session.warn(closing_in_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(closing_in_s):
                await self._changes.until(lambda: not self._live)
        for guest in self._live:
            guest.session.fail(Draining("this server is shutting down; resume the session"))

    async def close(self) -> None:
        """Let the parked sessions end, for a while: whoever stops us does not wait for ever."""
        self._closing = True
        await self._parking.close()

    def _refuse_when_closing(self) -> None:
        if self._closing:
            raise Draining("this server is shutting down; connect again")

    def _refuse_when_full(self) -> None:
        if self._count >= self._limits.max_sessions:
            raise Overloaded(f"all {self._limits.max_sessions} sessions of this server are taken")

    def _has(self, session_id: str) -> bool:
        return session_id in self._parking or any(guest.session_id == session_id for guest in self._live)

    async def _enter(self, resumed: bool) -> Callable[[], None]:
        """Take a place; what gives it back. A session that is resumed was admitted before: load does not count."""
        with _refusals_counted():
            self._refuse_when_closing()
            self._refuse_when_full()
            arrival = None if resumed else self._scheduler.load.admit()
        self._count += 1
        SESSIONS.add(1)

        def leave() -> None:
            self._count -= 1
            SESSIONS.add(-1)
            if arrival is not None:
                self._scheduler.load.forget(arrival)

        try:
            if not resumed:  # `claim` has asked, before it took the session from whoever had it
                await self._scheduler.check()
            self._refuse_when_closing()
        except BaseException:
            leave()
            raise
        return leave

    async def _drop(self, session_id: str) -> None:
        """Somebody has claimed a session that is here: end it, so that its place is free, and leave what is open to the
        one who has it."""
        here = [guest for guest in self._live if guest.session_id == session_id]
        for guest in here:
            guest.session.fail(SessionTakenOver("the session goes on over another connection"))
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.leave_s):
                await self._changes.until(lambda: self._live.isdisjoint(here))
        await self._parking.release(session_id)

    async def _evict(self, session: Session, owner: asyncio.Task[Any] | None) -> None:
        """End the stream of a session that has failed, if it does not end by itself."""
        await session.failed.wait()
        await asyncio.sleep(self._limits.leave_s)
        if owner is not None:
            owner.cancel()

    async def _feed(self, session: Session, inputs: AsyncIterator[Input]) -> None:
        while True:
            match await self.patiently(anext(inputs, None)):
                case Audio(data):
                    await session.take(session.feed(data))
                case Silence(duration_ms):
                    await session.take(session.silence(duration_ms))
                case EndUtterance():
                    await session.take(session.force_end())
                case None:
                    await asyncio.sleep(self._limits.lost_s)
                    await session.take(session.finish())
                    return

    async def _refresh(self, session: Session, keeper: TicketKeeper) -> None:
        """Write the ticket by and by, and soon when it lacks a final."""
        loop, due = asyncio.get_running_loop(), 0.0
        while True:
            if keeper.behind or loop.time() >= due:
                await keeper.save(session.progress)
                due = loop.time() + self._limits.refresh_s
            await asyncio.sleep(min(self._limits.behind_s, self._limits.refresh_s))


@contextmanager
def _refusals_counted() -> Iterator[None]:
    try:
        yield
    except Ai2TextError as error:
        REFUSED.add(1, {"reason": error.reason})
        raise


async def _feed_whole(session: Session, data: bytes) -> None:
    for begin in range(0, len(data), WHOLE_STEP_BYTES):
        await session.feed(data[begin : begin + WHOLE_STEP_BYTES])
    await session.finish()


def _failing_into(session: Session, task: asyncio.Task[None]) -> asyncio.Task[None]:
    """Let an error of the task end the session's events."""

    def done(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            session.fail(error)

    task.add_done_callback(done)
    return task


def _check_finals(found: Found | None, next_final_index: int) -> Found:
    """What was found, if the finals from `next_final_index` on can be told; raises Ai2TextError."""
    if found is None:
        raise SessionNotFound("there is no such session of yours, or it can no longer be resumed")
    if next_final_index > found.ticket.final_index:
        raise FieldInvalid("resume.next_final_index", f"is beyond the {found.ticket.final_index} finals")
    oldest = found.ticket.final_index - len(found.finals)
    if next_final_index < oldest:
        raise FinalsForgotten("finals before the oldest kept are wanted", oldest_final_index=str(oldest))
    return found
