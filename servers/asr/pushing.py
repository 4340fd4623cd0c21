"""Live sessions whose client has no stream of its own: it pushes pieces in single calls, and watches the events."""

import asyncio
import hmac
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from ai2text.asr.v1 import audio_pb2, live_session_service_pb2, result_pb2, session_pb2, speech_service_pb2
from opentelemetry import metrics

from servers.asr import requests
from servers.asr.changes import Changes
from servers.asr.news import News
from servers.asr.pieces import Pieces
from servers.common.errors import (
    Ai2TextError,
    Draining,
    FieldInvalid,
    Overloaded,
    SessionNotFound,
    SessionTakenOver,
)
from servers.common.identity import Caller

log = structlog.get_logger(__name__)

_METER = metrics.get_meter("ai2text")
PUSHED = _METER.create_up_down_counter("ai2text.asr.pushed_sessions", description="Sessions that are pushed and open.")

Piece = live_session_service_pb2.PushAudioRequest
Beginning = speech_service_pb2.StreamingConfig | session_pb2.Resume


class Conversation(Protocol):
    """A session in progress."""

    @property
    def started(self) -> speech_service_pb2.SessionStarted:
        """What the client is told first."""
        ...

    @property
    def format(self) -> audio_pb2.AudioFormat:
        """What its audio is."""
        ...

    @property
    def cursors(self) -> result_pb2.Cursors:
        """How far it has come."""
        ...

    @property
    def credit_ms(self) -> int:
        """How much more audio it takes before it stops reading, in milliseconds."""
        ...

    @property
    def failure(self) -> BaseException | None:
        """What it has failed with; who does not read `responses()` meanwhile is cancelled after a while."""
        ...

    def responses(self) -> AsyncGenerator[speech_service_pb2.StreamingRecognizeResponse]:
        """Its events. Ends after the last final, or raises an Ai2TextError."""
        ...


class Conversations(Protocol):
    """Where sessions are opened."""

    def open(
        self, caller: Caller, first: Beginning, payloads: AsyncIterator[Any]
    ) -> AbstractAsyncContextManager[Conversation]:
        """Begin a session or go on with one. One that is left early is parked, to be resumed for a while."""
        ...


@dataclass(frozen=True)
class PushLimits:
    """How long a pushed session waits, and for how many there is room."""

    idle_s: float = 60.0
    """A session whose client neither pushes nor watches for so long is left."""
    patience_s: float = 5.0
    """How long a piece waits for its turn and for room."""
    last_final_s: float = 30.0
    """How long closing waits for the last final."""
    linger_s: float = 30.0
    """How long one that has ended still answers, so that any call may be repeated."""
    leaving_s: float = 5.0
    """How long sessions may take to be parked when the server ends."""
    max_sessions: int = 1024
    """Those that are open and those that linger."""


class PushedSession:
    """One session: a task that runs its conversation, between the pieces that come and the news that are fetched."""

    def __init__(self, conversations: Conversations, caller: Caller, first: Beginning, limits: PushLimits) -> None:
        self._caller = caller
        self._limits = limits
        self._pieces: Pieces[Piece] = Pieces(limits.patience_s)
        self._news = News(first.next_final_index if isinstance(first, session_pb2.Resume) else 0)
        self._started: speech_service_pb2.SessionStarted | None = None
        self._conversation: Conversation | None = None
        self._last_cursors = result_pb2.Cursors()
        self._ended = False
        self._error: Ai2TextError | None = None
        self._failure: BaseException | None = None
        self._reason: Ai2TextError | None = None
        """Why we have left the conversation; None when we have not."""
        self._calls = 0
        self._idle: asyncio.TimerHandle | None = None
        self._changes = Changes()
        self.task = asyncio.create_task(self._run(conversations, first))
        self.task.add_done_callback(self._settle)

    async def begun(self) -> speech_service_pb2.SessionStarted:
        """What the client is to be told; raises what kept the session from beginning."""
        try:
            await self._changes.until(lambda: self._started or self._ended)
        except asyncio.CancelledError:
            self.leave(_given_up())
            raise
        if self._started is None:
            raise self._error or _given_up()
        return self._started

    @property
    def cursors(self) -> result_pb2.Cursors:
        """How far it has come."""
        return self._conversation.cursors if self._conversation else self._last_cursors

    @property
    def credit_ms(self) -> int:
        """How much more audio it takes before calls have to wait."""
        return self._conversation.credit_ms if self._conversation else 0

    def admits(self, caller: Caller, token: str) -> bool:
        """Whether it is this caller's, and the token its own."""
        if self._started is None or (caller.tenant, caller.subject) != (self._caller.tenant, self._caller.subject):
            return False
        return hmac.compare_digest(token.encode(), self._started.resume_token.encode())

    async def push(self, piece: Piece) -> int:
        """Take a piece; the number of the next one. See `Pieces.put`. Silence that the session cannot hear is refused
        here, so that it goes on."""
        self._raise_error()
        if piece.HasField("silence") and self._conversation is not None:
            requests.silence(piece.silence, self._conversation.format)
        with self._client_present():
            await self._pieces.put(piece.sequence, piece, piece.ByteSize())
        return self._pieces.next_sequence

    async def watch(self, next_final_index: int) -> AsyncGenerator[speech_service_pb2.StreamingRecognizeResponse]:
        """See `News.watch`."""
        with self._client_present():
            async with aclosing(self._news.watch(next_final_index)) as events:
                async for event in events:
                    yield event

    async def close(self) -> None:
        """Take no more pieces, and wait for the last final: Overloaded when that takes too long."""
        self._raise_error()
        self._pieces.close(SessionNotFound("the session has been closed"))
        with self._client_present():
            try:
                async with asyncio.timeout(self._limits.last_final_s):
                    await self._changes.until(lambda: self._ended)
            except TimeoutError:
                raise Overloaded("the last finals are not made, or not watched, yet; close again") from None
        self._raise_error()

    def leave(self, reason: Ai2TextError) -> None:
        """Let go of the conversation, for this reason, unless it is ending anyway."""
        if self._started is None or self._conversation is not None:
            self._reason = reason
            self.task.cancel()

    async def _run(self, conversations: Conversations, first: Beginning) -> None:
        async with conversations.open(self._caller, first, self._pieces) as conversation:
            self._started, self._conversation = conversation.started, conversation
            self._await_client()
            self._changes.tell()
            PUSHED.add(1)
            try:
                async with aclosing(conversation.responses()) as responses:
                    async for response in responses:
                        await self._news.put(response)
            finally:
                PUSHED.add(-1)
                self._last_cursors.CopyFrom(conversation.cursors)
                self._failure = conversation.failure
                self._conversation = None

    def _settle(self, task: asyncio.Task[None]) -> None:
        """What ended the conversation is what calls are told from now on."""
        self._ended = True
        if task.cancelled():  # by us; or because it has failed while finals that nobody watched held it back
            self._error = self._reason or _expected(self._failure) or _given_up()
        else:
            self._error = _expected(task.exception())
        self._pieces.close(self._error or SessionNotFound("the session has been closed"))
        self._pieces.clear()
        self._news.end(self._error)
        self._changes.tell()
        if self._idle is not None:
            self._idle.cancel()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error.with_traceback(None)

    @contextmanager
    def _client_present(self) -> Iterator[None]:
        self._calls += 1
        if self._idle is not None:
            self._idle.cancel()
        try:
            yield
        finally:
            self._calls -= 1
            if not self._calls and not self._ended:
                self._await_client()

    def _await_client(self) -> None:
        """Leave the session unless a call comes within `idle_s`."""
        vanished = SessionNotFound(f"nobody pushed or watched for {self._limits.idle_s:g} s; resume the session")
        self._idle = asyncio.get_running_loop().call_later(self._limits.idle_s, self.leave, vanished)


def _given_up() -> Ai2TextError:
    return SessionNotFound("the session was given up; resume it")


def _expected(error: BaseException | None) -> Ai2TextError | None:
    """The error as callers may see it. One that nobody expected is logged, once."""
    if error is None or isinstance(error, Ai2TextError):
        return error
    log.error("session failed", exc_info=error)
    return Ai2TextError("an internal error ended the session; it is logged under the trace of its opening")


class PushedSessions:
    """Those of this server."""

    def __init__(self, conversations: Conversations, limits: PushLimits | None = None) -> None:
        self._conversations = conversations
        self._limits = limits or PushLimits()
        self._known: dict[str, PushedSession] = {}
        """Those that calls can reach: open, or ended a while ago."""
        self._running: set[PushedSession] = set()
        self._closing = False

    async def open(self, caller: Caller, first: Beginning) -> speech_service_pb2.SessionStarted:
        """Begin a session or go on with one; raises what keeps it from that."""
        if self._closing:
            raise Draining("this server is shutting down; connect again")
        if len(self._known) >= self._limits.max_sessions:
            raise Overloaded("this server has no room for another pushed session")
        session = PushedSession(self._conversations, caller, first, self._limits)
        self._running.add(session)
        session.task.add_done_callback(lambda _: self._running.discard(session))
        started = await session.begun()
        if (before := self._known.get(started.session_id)) is not None:
            before.leave(SessionTakenOver("the session has been resumed"))
        self._known[started.session_id] = session
        session.task.add_done_callback(lambda _: self._let_linger(started.session_id, session))
        return started

    def find(self, caller: Caller, session_id: str, token: str) -> PushedSession:
        """The session of this caller with this token; SessionNotFound when there is none."""
        for field, value in (("session_id", session_id), ("resume_token", token)):
            if not value:
                raise FieldInvalid(field, "is missing")
        session = self._known.get(session_id)
        if session is None or not session.admits(caller, token):
            raise SessionNotFound("this server has no such session of yours, or not with this token; resume it")
        return session

    async def close(self) -> None:
        """Leave all sessions, so that they are parked and may go on elsewhere; open none any more."""
        self._closing = True
        for session in self._running:
            session.leave(Draining("this server is shutting down; resume the session"))
        if self._running:
            await asyncio.wait([session.task for session in self._running], timeout=self._limits.leaving_s)

    def _let_linger(self, session_id: str, session: PushedSession) -> None:
        def forget() -> None:
            if self._known.get(session_id) is session:  # it may have been resumed here
                del self._known[session_id]

        asyncio.get_running_loop().call_later(self._limits.linger_s, forget)
