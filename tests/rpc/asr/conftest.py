"""Speech servers in this process, over real ports: the model and the voice detector are fakes, the rest is real."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import pytest
from ai2text.asr.v1 import (
    audio_pb2,
    live_session_service_pb2_grpc,
    session_pb2,
    speech_service_pb2,
    speech_service_pb2_grpc,
)

from servers.asr import live_session_service, service
from servers.asr.archive import Archive
from servers.asr.conversation import Conversations
from servers.asr.endpointing import EndpointRules
from servers.asr.live import Limits, Sessions
from servers.asr.load import Load, LoadLimits
from servers.asr.pushing import PushedSessions, PushLimits
from servers.asr.refiner import RemoteRefiner
from servers.asr.scheduling import Lanes, Scheduler
from servers.asr.session import SessionRules
from servers.common import channel
from servers.common.identity import Caller
from tests.fakes.detectors import LevelDetector
from tests.fakes.ticket_store import MemoryTickets
from tests.rpc.asr.neighbours import (
    CountingRecognizer,
    MetadataServer,
    NlpServer,
    mount_metadata,
    mount_nlp,
    serving,
)

Message = speech_service_pb2.StreamingRecognizeRequest
Response = speech_service_pb2.StreamingRecognizeResponse
Started = speech_service_pb2.SessionStarted

CALLER = Caller("acme", "lan", frozenset({"speech"}))
LINEAR16 = audio_pb2.AudioFormat(encoding=audio_pb2.AUDIO_ENCODING_LINEAR16, sample_rate_hz=16_000)
FORCE = Message(force_end_of_utterance=speech_service_pb2.ForceEndOfUtterance())
KEEPALIVE = Message(keepalive=speech_service_pb2.Keepalive())


class Talk:
    """A stream whose client writes and reads as a test goes along."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.heard: list[Response] = []

    @property
    def started(self) -> Started:
        """What the server said first."""
        return self.heard[0].session_started

    async def say(self, *messages: Message) -> None:
        for message in messages:
            await self.call.write(message)

    async def until(self, condition: Callable[[Response], object]) -> Response:
        """Read up to the first response of which something holds."""
        async with asyncio.timeout(20):
            while (response := await self.call.read()) is not grpc.aio.EOF:
                self.heard.append(response)
                if condition(response):
                    return response
        raise AssertionError(f"the stream ended after {kinds(self.heard)}")

    async def until_end(self) -> list[Response]:
        """Say no more, read to the end; all that was read."""
        await self.call.done_writing()
        async with asyncio.timeout(20):
            while (response := await self.call.read()) is not grpc.aio.EOF:
                self.heard.append(response)
        return self.heard


@dataclass
class Speech:
    """A server under test and what stands around it."""

    address: str
    stub: speech_service_pb2_grpc.SpeechServiceStub
    pushing: live_session_service_pb2_grpc.LiveSessionServiceStub
    recognizer: CountingRecognizer
    metadata: MetadataServer
    nlp: NlpServer
    tickets: MemoryTickets
    archive: Archive
    load: Load
    sessions: Sessions

    async def settled(self, condition: Callable[[], object], within_s: float = 5.0) -> None:
        """Wait until something has come true."""
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(0.01)

    async def room(self, within_s: float = 5.0) -> None:
        """Wait until the server takes another session."""
        async with asyncio.timeout(within_s):
            while True:
                try:
                    await (await self.talk()).until_end()
                    return
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                        raise
                    await asyncio.sleep(0.1)

    def stream(self, *sent: Message, caller: Caller = CALLER) -> Any:
        """A live stream that sends these messages and half-closes."""

        async def messages() -> AsyncIterator[Message]:
            for message in sent:
                yield message

        return self.stub.StreamingRecognize(messages(), metadata=caller.metadata(), timeout=20)

    async def told(self, *sent: Message, caller: Caller = CALLER) -> list[Response]:
        """All that such a stream is told."""
        return [response async for response in self.stream(*sent, caller=caller)]

    async def told_when_paced(self, first: Message, messages: list[Message]) -> list[Response]:
        """All that a stream is told that says 0.1 s in 0.01 s."""
        call = self.stub.StreamingRecognize(paced(first, messages), metadata=CALLER.metadata(), timeout=20)
        return [response async for response in call]

    async def talk(self, first: Message | None = None, caller: Caller = CALLER) -> Talk:
        """A live stream that has begun."""
        talk = Talk(self.stub.StreamingRecognize(metadata=caller.metadata(), timeout=60))
        await talk.say(first or config())
        await talk.until(lambda response: response.HasField("session_started"))
        return talk


@dataclass(frozen=True)
class Surroundings:
    """What servers share."""

    metadata: MetadataServer
    nlp: NlpServer
    address: str
    tickets: MemoryTickets


@pytest.fixture
def limits() -> Limits:
    return Limits(max_sessions=2, idle_s=10.0, lost_s=0.0, parked_s=0.2, farewell_s=5.0, closing_s=0.05)


@pytest.fixture
def load_limits() -> LoadLimits:
    """Wide enough for what tests do at once."""
    return LoadLimits(instances=2, busy=0.8, wait_s=0.3, session_busy=0.001)


@pytest.fixture
def rules() -> SessionRules:
    """Named here, so that tests do not depend on how the server is tuned."""
    endpoint = EndpointRules(pause_ms=128, silence_ms=448, long_utterance_ms=2_000, long_utterance_silence_ms=256)
    return SessionRules(partial_every_ms=600, first_partial_ms=700, endpoint=endpoint)


@pytest.fixture
async def surroundings() -> AsyncIterator[Surroundings]:
    metadata, nlp = MetadataServer(), NlpServer()
    mounts = [lambda server: mount_metadata(server, metadata), lambda server: mount_nlp(server, nlp)]
    async with serving(*mounts) as address:
        yield Surroundings(metadata, nlp, address, MemoryTickets())


@pytest.fixture
async def speech(
    surroundings: Surroundings, limits: Limits, load_limits: LoadLimits, rules: SessionRules
) -> AsyncIterator[Speech]:
    """A speech server with room for two sessions."""
    async with speaking(surroundings, limits, load_limits, rules, "stable") as speech:
        yield speech


@pytest.fixture
async def other(
    surroundings: Surroundings, limits: Limits, load_limits: LoadLimits, rules: SessionRules
) -> AsyncIterator[Speech]:
    """Another speech server with the same surroundings."""
    async with speaking(surroundings, limits, load_limits, rules, "canary") as speech:
        yield speech


@asynccontextmanager
async def speaking(
    around: Surroundings,
    limits: Limits,
    load_limits: LoadLimits,
    rules: SessionRules,
    version: str,
    languages: frozenset[str] = frozenset({"vi", "en"}),
) -> AsyncIterator[Speech]:
    """A speech server, put together as `servers.asr.__main__` does it."""
    recognizer = CountingRecognizer()
    load = Load(load_limits)
    scheduler = Scheduler(recognizer, Lanes(), load, retry_s=0.3)
    scheduler._note = lambda *_: None  # type: ignore[method-assign]  # only the load that tests note counts
    async with AsyncExitStack() as stack:
        neighbours = await stack.enter_async_context(channel.connect(around.address))
        refiner = RemoteRefiner(neighbours, timeout_s=3.0)
        archive = Archive(neighbours, "counting", refiner, max_unsaved=5)
        stack.push_async_callback(archive.close, timeout_s=1)
        sessions = Sessions(scheduler, LevelDetector, languages, around.tickets, refiner, limits)
        stack.push_async_callback(sessions.close)
        conversations = Conversations(sessions, archive, rules, version)
        pushed = PushedSessions(conversations, PushLimits())
        stack.push_async_callback(pushed.close)
        capabilities = service.Capabilities("counting", languages, version)
        mounts = [
            service.mount(sessions, conversations, rules, capabilities),
            live_session_service.mount(pushed),
        ]
        address = await stack.enter_async_context(serving(*mounts))
        to = await stack.enter_async_context(grpc.aio.insecure_channel(address))  # interceptors spoil `write`
        yield Speech(
            address,
            speech_service_pb2_grpc.SpeechServiceStub(to),
            live_session_service_pb2_grpc.LiveSessionServiceStub(to),
            recognizer, around.metadata, around.nlp, around.tickets, archive, load, sessions,
        )  # fmt: skip


# What a client sends.


def config(**fields: Any) -> Message:
    """The first message of a stream."""
    return Message(config=speech_service_pb2.StreamingConfig(**({"format": LINEAR16} | fields)))


def resume(started: Started, next_final_index: int = 0, **changed: str) -> Message:
    """The first message of a stream that goes on with a session."""
    names = {"session_id": started.session_id, "resume_token": started.resume_token} | changed
    return Message(resume=session_pb2.Resume(next_final_index=next_final_index, **names))


def pcm(*parts: tuple[float, float]) -> bytes:
    """Parts of (seconds, level) as 16-bit PCM."""
    levels = [np.full(int(seconds * 16_000), level * 32_767) for seconds, level in parts]
    return np.concatenate(levels).astype("<i2").tobytes()


def chunks(data: bytes, chunk_s: float = 0.1, channels: int = 1) -> list[Message]:
    """PCM as audio messages of `chunk_s`."""
    step = int(chunk_s * 16_000) * 2 * channels
    return [Message(audio=data[begin : begin + step]) for begin in range(0, len(data), step)]


def audio(*parts: tuple[float, float], chunk_s: float = 0.1) -> list[Message]:
    """Parts of (seconds, level) as audio messages of `chunk_s`."""
    return chunks(pcm(*parts), chunk_s)


def interleaved(*channels: bytes) -> bytes:
    """PCM of several channels as one."""
    return np.stack([np.frombuffer(channel, "<i2") for channel in channels], axis=1).tobytes()


async def paced(first: Message, messages: list[Message], pause_s: float = 0.01) -> AsyncIterator[Message]:
    """The messages of a client that speaks 0.1 s in 0.01 s."""
    yield first
    for message in messages:
        yield message
        await asyncio.sleep(pause_s)


# What it is told.


def kinds(responses: list[Response]) -> list[str | None]:
    """What happened, statuses left out."""
    told = [response.WhichOneof("event") for response in responses]
    return [kind for kind in told if kind != "status"]


def finals(responses: list[Response]) -> list[str]:
    """The texts of the finals."""
    return [response.final.text for response in responses if response.HasField("final")]


def utterances(responses: list[Response]) -> list[tuple[int, int]]:
    """Where they begin and end, in tenths of a second."""
    starts = [r.speech_started.start_ms for r in responses if r.HasField("speech_started")]
    ends = [r.speech_ended.end_ms for r in responses if r.HasField("speech_ended")]
    return [(round(start / 100), round(end / 100)) for start, end in zip(starts, ends, strict=True)]


def ends_utterance(response: Response) -> bool:
    return response.HasField("speech_ended")


def is_final(response: Response) -> bool:
    return response.HasField("final")
