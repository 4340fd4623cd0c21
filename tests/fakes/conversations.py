"""Conversations that tell what a test lets them tell, and remember what they heard."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from ai2text.asr.v1 import audio_pb2, result_pb2, session_pb2, speech_service_pb2

from servers.common.identity import Caller

Response = speech_service_pb2.StreamingRecognizeResponse
Beginning = speech_service_pb2.StreamingConfig | session_pb2.Resume


@dataclass
class ScriptedConversation:
    """See `servers.asr.pushing.Conversation`. It ends when its payloads do, or with an error that the test tells."""

    started: speech_service_pb2.SessionStarted
    payloads: AsyncIterator[Any]
    format: audio_pb2.AudioFormat
    cursors: result_pb2.Cursors = field(default_factory=result_pb2.Cursors)
    credit_ms: int = 5_250
    heard: list[Any] = field(default_factory=list)
    parked: bool = False
    """Whether it was left before it ended."""
    ended: bool = False
    failure: Exception | None = None

    def __post_init__(self) -> None:
        self.owner = asyncio.current_task()
        self.listening = asyncio.Event()
        self.listening.set()
        self._script: asyncio.Queue[Response | Exception | None] = asyncio.Queue()

    def tell(self, *events: Response | Exception) -> None:
        """Happen next, in this order."""
        for event in events:
            self._script.put_nowait(event)

    def fails_unread(self, error: Exception) -> None:
        """Fail while nobody reads what is told: as `servers.asr.live` does then, whoever has it is cancelled."""
        self.failure = error
        assert self.owner is not None
        self.owner.cancel()

    @property
    def untold(self) -> int:
        """How much of the script nobody has read."""
        return self._script.qsize()

    async def responses(self) -> AsyncGenerator[Response]:
        """See Conversation."""
        listening = asyncio.create_task(self._listen())
        try:
            while (happened := await self._script.get()) is not None:
                if isinstance(happened, Exception):
                    raise happened
                if happened.HasField("final"):
                    self.cursors.final_index = happened.final.final_index + 1
                yield happened
            self.ended = True
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening

    async def _listen(self) -> None:
        while True:
            await self.listening.wait()
            if (payload := await anext(self.payloads, None)) is None:
                break
            self.heard.append(payload)
            self.cursors.received_ms += 100
        self._script.put_nowait(None)


@dataclass
class ScriptedConversations:
    """See `servers.asr.pushing.Conversations`; each session has the token "secret-" and its number."""

    refusal: Exception | None = None
    """What keeps sessions from being opened."""
    opened: list[ScriptedConversation] = field(default_factory=list)
    asked: list[tuple[Caller, Beginning]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.admitting = asyncio.Event()
        self.admitting.set()

    @asynccontextmanager
    async def open(
        self, caller: Caller, first: Beginning, payloads: AsyncIterator[Any]
    ) -> AsyncIterator[ScriptedConversation]:
        """See Conversations."""
        self.asked.append((caller, first))
        await self.admitting.wait()
        if self.refusal is not None:
            raise self.refusal
        session_id = first.session_id if isinstance(first, session_pb2.Resume) else f"session-{len(self.opened)}"
        started = speech_service_pb2.SessionStarted(session_id=session_id, resume_token=f"secret-{len(self.opened)}")
        format = audio_pb2.AudioFormat() if isinstance(first, session_pb2.Resume) else first.format
        conversation = ScriptedConversation(started, payloads, format)
        self.opened.append(conversation)
        try:
            yield conversation
        finally:
            conversation.parked = not conversation.ended


def final(index: int, text: str = "") -> Response:
    """An event: the final of this index."""
    cursors = result_pb2.Cursors(final_index=index + 1)
    return Response(cursors=cursors, final=result_pb2.FinalResult(final_index=index, text=text or f"text {index}"))


def partial(text: str, channel: int = 0) -> Response:
    """An event: the newest hypothesis in a channel."""
    return Response(partial=result_pb2.PartialResult(unstable_text=text, channel=channel))


def speech_started(start_ms: int) -> Response:
    """An event: somebody speaks."""
    return Response(speech_started=speech_service_pb2.SpeechStarted(start_ms=start_ms))


def closing(seconds: int) -> Response:
    """An event: the server is about to stop."""
    status = session_pb2.SessionStatus()
    status.closing_in.FromSeconds(seconds)
    return Response(status=status)


def named(event: Response) -> str:
    """What an event is, in a word or two."""
    match event.WhichOneof("event"):
        case "final":
            return f"final {event.final.final_index}"
        case "partial":
            return f"partial {event.partial.unstable_text}"
        case "speech_started":
            return f"started {event.speech_started.start_ms}"
        case kind:
            return str(kind)
