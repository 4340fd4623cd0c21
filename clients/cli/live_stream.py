"""A live session that survives its streams: lost ones are resumed, and every final comes exactly once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from ai2text.asr.v1 import session_pb2, speech_service_pb2

from clients.cli.connection import Connect
from clients.cli.leg import Header, Leg, Request, Response
from clients.cli.patience import Patience, Persistence, Stalled, passes
from clients.cli.problem import Problem
from clients.cli.refusal import Refusal
from clients.cli.tape import KEPT_MS, LONGEST_UNREAD_MS, UNSETTLED_MS, Tape
from clients.cli.timeline import Place
from clients.cli.wish import Wish

PATIENT_FOR_S = 60.0
"""How long a lost session is tried again."""
STALLED_AFTER_S = 60.0
"""How long a stream may make no progress in either direction."""
REOPENED_WITHIN_S = 5.0
"""How long one attempt to resume may take."""
VERSION_HEADER = "x-ai2text-version"


@dataclass(frozen=True)
class Resumption:
    """The session goes on over another stream."""

    after_s: float
    """Since it was noticed that the last stream had ended, or was about to."""
    why: str
    """What ended the last stream, as a sentence; empty when its server only said that it would."""
    missing_ms: int
    """Sound that was neither settled nor kept, for which silence stands: none, unless a server lags far behind."""
    is_anew: bool
    """The server had forgotten the session, so a new one goes on, with a recording of its own."""


class LiveStream:
    """Streams sound of any length, over as many connections as it takes. For one use.

    `connect` opens a connection; every stream has one of its own. `on_response` is given each answer, in order, with
    its times and final indices counted from the beginning of the sound; a final that comes again is left out. When a
    stream is lost, or its server closes, the session is resumed with the sound that was not settled; the source goes
    on meanwhile. It is given up when it has not gone further for `patience_s`.

    `unhurried` sound can wait: no more is sent than can be resumed, and a server that is full is asked again. `live`
    sound cannot be held back: while there is no stream it is kept for `patience_s`, but for half an hour at most.
    """

    def __init__(
        self,
        connect: Connect,
        wish: Wish,
        on_response: Callable[[Response], None] = lambda _: None,
        on_resumption: Callable[[Resumption], None] = lambda _: None,
        patience_s: float = PATIENT_FOR_S,
        stalled_after_s: float = STALLED_AFTER_S,
        unhurried: bool = False,
        live: bool = False,
    ) -> None:
        self.resumes = 0
        """How often the session went on over another stream."""
        self._connect = connect
        self._wish = wish
        self._on_response = on_response
        self._on_resumption = on_resumption
        self._stalled_after_s = stalled_after_s
        self._patience = Patience(patience_s, when_full=True) if unhurried else Patience()
        self._persistence = Persistence(patience_s)
        self._tape = Tape(
            wish.bytes_per_ms,
            unsettled_ms=UNSETTLED_MS if unhurried else None,
            unread_ms=_unread_ms(patience_s) if live else None,
        )
        self._session = speech_service_pb2.SessionStarted()
        self._place = Place()
        self._next_final = 0
        self._processed_ms = 0
        self._settled_ms = 0
        self._said_ms = dict.fromkeys(range(wish.channel_count), 0)
        """Where the last final of each channel ends."""

    @property
    def session_id(self) -> str:
        """The session that goes on now; empty before it has begun."""
        return self._session.session_id

    async def run(self, chunks: AsyncIterator[bytes]) -> None:
        """Streams the chunks, PCM as `Wish` announces it. Returns when the last final has come. Raises Problem.

        When the source raises, what was heard until then is still finished; then that is raised.
        """
        recording = asyncio.create_task(self._record(chunks), name="record")
        try:
            leg: Leg | None = await self._begun()
            while leg is not None:
                leg = await self._after(leg)
            await recording
        finally:
            recording.cancel()
            await asyncio.gather(recording, return_exceptions=True)

    async def _record(self, chunks: AsyncIterator[bytes]) -> None:
        try:
            async for chunk in chunks:
                await self._tape.record(chunk)
        finally:
            self._tape.finish()

    async def _begun(self) -> Leg:
        """The first stream. Tries again as long as the server says that it will soon be back. Raises Problem."""
        while True:
            try:
                leg = await Leg.opened(self._connect, (), self._config(), self._stalled_after_s)
            except Refusal as refusal:
                await self._patience.wait_or_raise(refusal)
            else:
                self._enter(leg, self._place)
                return leg

    async def _after(self, leg: Leg) -> Leg | None:
        """Carries on over this stream; returns the one that follows it, None when the session is finished."""
        try:
            leg.carry(self._tape, self._replay_from(), self._take, self._stalled_after_s)
            await leg.over_or_closing()
            return None if leg.is_finished else await self._resumed(leg)
        finally:
            await leg.leave()

    async def _resumed(self, old: Leg) -> Leg | None:
        """The stream that follows `old`; None when nothing needs to. While it is sought, `old` may still go on.

        Raises Problem when no other stream would help, or patience is over.
        """
        clock, why = asyncio.get_running_loop().time, old.failure
        if why is not None and not passes(why):
            raise why
        lost_at_s, problem, anew = clock(), why, False
        while True:
            await self._persistence.pause(problem)
            if old.is_finished or (anew and self._is_all_said()):
                return None
            try:
                leg = await (self._opened_anew() if anew else self._reopened())
            except (Refusal, Stalled) as failure:
                problem, anew = failure, anew or (_is_forgotten(failure) and old.is_over)
                if not passes(failure) and not _is_forgotten(failure):
                    raise
            else:
                missing_ms = self._missing_ms(anew)
                self._on_resumption(Resumption(clock() - lost_at_s, why.sentence if why else "", missing_ms, anew))
                return leg

    async def _reopened(self) -> Leg:
        """The same session on another stream, on a server of the same version as long as there seems to be one."""
        resume = session_pb2.Resume(
            session_id=self._session.session_id,
            resume_token=self._session.resume_token,
            next_final_index=self._next_final - self._place.finals,
        )
        same_version: tuple[Header, ...] = ((VERSION_HEADER, self._session.server_version),)
        headers = () if self._persistence.is_half_spent else same_version
        leg = await Leg.opened(self._connect, headers, Request(resume=resume), REOPENED_WITHIN_S)
        self.resumes += 1
        self._enter(leg, self._place)
        return leg

    async def _opened_anew(self) -> Leg:
        """A new session, which begins at what is kept and was not yet said."""
        leg = await Leg.opened(self._connect, (), self._config(), REOPENED_WITHIN_S)
        self._enter(leg, Place(self._anew_from_ms(), self._next_final))
        return leg

    def _enter(self, leg: Leg, place: Place) -> None:
        self._session, self._place = leg.first.session_started, place
        self._take(leg.first)

    def _take(self, response: Response) -> None:
        """Notes how far the session has come, and passes on what is new."""
        here = self._place.shifted(response)
        is_final = here.HasField("final")
        if is_final and here.final.final_index < self._next_final:
            return
        if is_final or here.cursors.processed_ms > self._processed_ms:
            self._persistence.progressed()
        if is_final:
            self._next_final = here.final.final_index + 1
            self._said_ms[here.final.channel] = here.final.end_ms
        self._processed_ms = max(self._processed_ms, here.cursors.processed_ms)
        self._settled_ms = max(self._settled_ms, here.cursors.final_ms)
        self._tape.forget_before(self._settled_ms * self._tape.bytes_per_ms)
        self._on_response(here)

    def _config(self) -> Request:
        return Request(config=self._wish.config())

    def _replay_from(self) -> int:
        """The position on the tape at which the newest stream begins."""
        return (self._place.begin_ms + self._session.replay_from_ms) * self._tape.bytes_per_ms

    def _anew_from_ms(self) -> int:
        """Where a new session begins. The tape keeps sound from before the end of the last final, for the old session
        wants it again; a new one would say its words once more.
        """
        return max(self._tape.start // self._tape.bytes_per_ms, min(self._said_ms.values()))

    def _missing_ms(self, anew: bool) -> int:
        """Of the sound that the newest stream should have: what is neither settled nor kept."""
        begin_ms = min(self._said_ms.values()) if anew else self._place.begin_ms + self._session.replay_from_ms
        return max(0, self._tape.start // self._tape.bytes_per_ms - max(begin_ms, self._settled_ms))

    def _is_all_said(self) -> bool:
        return self._tape.is_over and self._anew_from_ms() * self._tape.bytes_per_ms >= self._tape.end


def _unread_ms(patience_s: float) -> int:
    return int(min(max(KEPT_MS, patience_s * 1000), LONGEST_UNREAD_MS))


def _is_forgotten(problem: Problem) -> bool:
    return isinstance(problem, Refusal) and problem.details.reason == "SESSION_NOT_FOUND"
