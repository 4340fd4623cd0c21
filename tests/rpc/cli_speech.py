"""A speech server for the tests of the command: it keeps sessions over their streams, and does with each as told."""

import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from ai2text.asr.v1 import result_pb2, session_pb2, speech_service_pb2, speech_service_pb2_grpc
from google.protobuf import duration_pb2
from grpc_status import rpc_status

from clients.cli.pcm import BYTES_PER_MS
from servers.common import errors, status

RECORDING_ID = "0198a5e0-0000-7000-8000-000000000001"
PARTIAL_EVERY_MS = 300
VERSION = "canary"
MANY = 1_000_000_000
REPLAYED_MS = 200
"""How far before the end of the last final a resumed session begins, and its `final_ms` lies."""

Response = speech_service_pb2.StreamingRecognizeResponse


@dataclass(frozen=True)
class Act:
    """What one stream is to do, in this order; without anything it goes on to the end."""

    refuse: Exception | None = None
    """Answers the first message with this."""
    closing_after_ms: int = MANY
    """Says `closing_in` when the session has heard so much."""
    break_after_ms: int = MANY
    """Ends the stream when the session has heard so much: with `breaks`."""
    breaks: Exception | grpc.StatusCode | None = None
    """An error of ours, or a status without details; None: in order, though more would come."""
    breaks_at_end: bool = False
    """Ends the stream likewise when the client has half-closed, before the last final."""
    forgets: bool = False
    """No session can be resumed after that."""
    hang_after_ms: int = MANY
    """Reads and answers nothing any more when the session has heard so much; below 0: not even the first message."""


@dataclass
class Session:
    """One session, over all of its streams."""

    config: speech_service_pb2.StreamingConfig
    name: str
    audio: bytearray = field(default_factory=bytearray)
    """What was heard, without what was heard twice."""
    finals: list[result_pb2.FinalResult] = field(default_factory=list)
    settled_ms: int = 0
    holder: Any = None
    """The newest stream."""

    @property
    def channels(self) -> int:
        return max(self.config.format.channel_count, 1)

    @property
    def bytes_per_ms(self) -> int:
        return BYTES_PER_MS * self.channels

    @property
    def replay_from_ms(self) -> int:
        return max(0, self.settled_ms - REPLAYED_MS)

    @property
    def heard_ms(self) -> int:
        return len(self.audio) // self.bytes_per_ms


def digest(audio: bytes) -> str:
    """What this server hears in a piece of audio."""
    return hashlib.sha1(audio, usedforsecurity=False).hexdigest()


@dataclass
class Speech(speech_service_pb2_grpc.SpeechServiceServicer):
    """Hears everything, and says `said`, or the digest of it, after every `final_every_ms` and at the end.

    Of several channels each has its turn.
    """

    said: str = "Xin chào Việt Nam."
    final_every_ms: int = MANY
    acts: list[Act] = field(default_factory=list)
    """One for each stream to come."""
    always: Act = Act()
    """For those after that."""
    hears_silence: bool = False
    """Whatever comes is settled at once, as silence is; a resume wants it again all the same."""
    repeats: bool = False
    """A resume brings all finals, not only those that are wanted."""
    sessions: list[Session] = field(default_factory=list)
    firsts: list[speech_service_pb2.StreamingRecognizeRequest] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    """What each stream had as x-ai2text-version."""
    traceparents: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    """The kinds of messages that were not audio, in their order."""
    half_closed: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def configs(self) -> list[speech_service_pb2.StreamingConfig]:
        return [first.config for first in self.firsts if first.HasField("config")]

    @property
    def received_ms(self) -> int:
        return self.sessions[-1].heard_ms if self.sessions else 0

    def StreamingRecognize(self, request_iterator: Any, context: Any) -> Iterator[Response]:
        headers = dict(context.invocation_metadata())
        self.traceparents += [headers["traceparent"]] if "traceparent" in headers else []
        self.versions.append(headers.get("x-ai2text-version", ""))
        first = next(request_iterator)
        self.firsts.append(first)
        act = self.acts.pop(0) if self.acts else self.always
        if act.refuse is not None:
            abort(context, act.refuse)
        self._hang(act, -1, context)
        session = self._begun(first.config) if first.HasField("config") else self._found(first.resume, context)
        session.holder = context
        yield self._started(session)
        wanted = 0 if self.repeats else first.resume.next_final_index
        yield from (self._response(session, final=final) for final in list(session.finals[wanted:]))
        yield from self._listen(request_iterator, session, act, context)

    def _begun(self, config: speech_service_pb2.StreamingConfig) -> Session:
        self.sessions.append(Session(config, f"s{len(self.sessions) + 1}"))
        return self.sessions[-1]

    def _found(self, resume: session_pb2.Resume, context: Any) -> Session:
        with self._lock:
            for session in self.sessions:
                if (session.name, f"secret of {session.name}") == (resume.session_id, resume.resume_token):
                    del session.audio[session.replay_from_ms * session.bytes_per_ms :]
                    session.holder = context
                    return session
        abort(context, errors.SessionNotFound("there is no such session"))
        raise AssertionError

    def _listen(self, requests: Any, session: Session, act: Act, context: Any) -> Iterator[Response]:
        shown_ms, closing = session.heard_ms, False
        if not session.audio:
            yield self._response(session, speech_started=speech_service_pb2.SpeechStarted(start_ms=0))
        for request in requests:
            yield from self._hear(session, request, act, context)
            self._hang(act, session.heard_ms, context)
            if session.heard_ms >= act.closing_after_ms and not closing:
                closing = True
                yield self._response(
                    session, status=session_pb2.SessionStatus(closing_in=duration_pb2.Duration(seconds=5))
                )
            if session.heard_ms >= act.break_after_ms:
                self._break(act, context)
                return
            if not session.config.partials_disabled and session.heard_ms >= shown_ms + PARTIAL_EVERY_MS:
                yield self._partial(session)
                shown_ms = session.heard_ms
        if not context.is_active():
            return
        if act.breaks_at_end:
            self._break(act, context)
        self.half_closed = True
        yield self._response(session, speech_ended=speech_service_pb2.SpeechEnded(end_ms=session.heard_ms))
        if session.heard_ms > session.settled_ms or not session.finals:
            yield self._final(session)

    def _hear(self, session: Session, request: Any, act: Act, context: Any) -> Iterator[Response]:
        """Takes in one message of the newest stream, piece by piece, with the finals that come of it.

        Nothing is heard from where the stream is to break.
        """
        kind = request.WhichOneof("payload")
        self.others += [kind] if kind != "audio" else []
        audio = request.audio
        if kind == "silence":
            audio = bytes(request.silence.duration.ToMilliseconds() * session.bytes_per_ms)
        size, most = self.final_every_ms * session.bytes_per_ms, act.break_after_ms * session.bytes_per_ms
        while audio := audio[: max(0, most - len(session.audio))]:
            with self._lock:
                if session.holder is not context:
                    abort(context, errors.SessionTakenOver("the session goes on over another connection"))
                room = size - len(session.audio) % size
                session.audio += audio[:room]
                audio = audio[room:]
                is_due = len(session.audio) % size == 0 and session.heard_ms > session.settled_ms
                finals = [self._final(session)] if is_due else []
            yield from finals

    def _break(self, act: Act, context: Any) -> None:
        if act.forgets:
            self.sessions = [Session(session.config, "forgotten", session.audio) for session in self.sessions]
        if isinstance(act.breaks, Exception):
            abort(context, act.breaks)
        elif act.breaks is not None:
            context.abort(act.breaks, "the server is going away")

    def _hang(self, act: Act, heard_ms: int, context: Any) -> None:
        while heard_ms >= act.hang_after_ms and context.is_active():
            time.sleep(0.02)

    def _started(self, session: Session) -> Response:
        started = speech_service_pb2.SessionStarted(
            session_id=session.name,
            recording_id="" if session.config.storage_disabled else RECORDING_ID,
            resume_token=f"secret of {session.name}",
            replay_from_ms=session.replay_from_ms,
            server_version=VERSION,
        )
        return self._response(session, session_started=started)

    def _partial(self, session: Session) -> Response:
        partial = result_pb2.PartialResult(
            stable_text="Xin ", unstable_text="chào", end_ms=session.heard_ms, language_code="vi"
        )
        return self._response(session, partial=partial)

    def _final(self, session: Session) -> Response:
        begin, end = session.settled_ms, session.heard_ms
        text = self.said or digest(bytes(session.audio[begin * session.bytes_per_ms :]))
        final = result_pb2.FinalResult(
            final_index=len(session.finals),
            text=text,
            words=[
                result_pb2.Word(text=word, start_ms=begin, end_ms=begin + 100, confidence=0.9) for word in text.split()
            ],
            start_ms=begin,
            end_ms=end,
            language_code="vi",
            confidence=0.8,
            channel=len(session.finals) % session.channels,
        )
        session.finals.append(final)
        session.settled_ms = end
        return self._response(session, final=final)

    def _response(self, session: Session, **event: Any) -> Response:
        cursors = result_pb2.Cursors(
            received_ms=session.heard_ms,
            processed_ms=session.heard_ms,
            final_ms=session.heard_ms if self.hears_silence else session.replay_from_ms,
            final_index=len(session.finals),
        )
        return Response(cursors=cursors, **event)

    def GetCapabilities(self, request: Any, context: Any) -> Any:
        return speech_service_pb2.GetCapabilitiesResponse(model="whisper-base", language_codes=["en", "vi"])

    def Recognize(self, request: Any, context: Any) -> Any:
        raise NotImplementedError


def abort(context: Any, error: Exception) -> None:
    """Ends the call with the status that our servers would send for `error`."""
    context.abort_with_status(rpc_status.to_status(status.of(error)))
