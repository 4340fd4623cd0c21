"""LiveSessionService over a real port, with conversations behind it that tell what a test lets them tell."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from ai2text.asr.v1 import audio_pb2, speech_service_pb2
from ai2text.asr.v1 import live_session_service_pb2 as pb
from ai2text.asr.v1 import live_session_service_pb2_grpc as pb_grpc

from servers.asr import live_session_service
from servers.asr.pushing import PushedSessions, PushLimits
from servers.common import channel, lifecycle
from servers.common.identity import Caller
from tests.fakes.clocks import LoopTime
from tests.fakes.conversations import ScriptedConversation, ScriptedConversations, named

CALLER = Caller("acme", "lan", frozenset({"speech"}))
EMPTY = pb.OpenSessionRequest(config=speech_service_pb2.StreamingConfig())


def config_of(name: str) -> speech_service_pb2.StreamingConfig:
    encoding = audio_pb2.AudioEncoding.Value(f"AUDIO_ENCODING_{name}")
    return speech_service_pb2.StreamingConfig(format=audio_pb2.AudioFormat(encoding=encoding))


@dataclass
class Client:
    """A client of the server under test, and the scripted conversations behind it."""

    stub: pb_grpc.LiveSessionServiceStub
    conversations: ScriptedConversations
    sessions: PushedSessions
    caller: Caller = CALLER

    async def open(self, **start: Any) -> speech_service_pb2.SessionStarted:
        request = pb.OpenSessionRequest(**(start or {"config": config_of("LINEAR16")}))
        answer = await self.stub.OpenSession(request, metadata=self.caller.metadata(), timeout=20)
        return answer.session

    def push(self, session: speech_service_pb2.SessionStarted, sequence: int, **payload: Any) -> Any:
        request = pb.PushAudioRequest(
            session_id=session.session_id,
            resume_token=session.resume_token,
            sequence=sequence,
            **(payload or {"audio": b"%d" % sequence}),
        )
        return self.stub.PushAudio(request, metadata=self.caller.metadata(), timeout=20)

    def watch(self, session: speech_service_pb2.SessionStarted, next_final_index: int = 0) -> Any:
        request = pb.WatchSessionRequest(
            session_id=session.session_id, resume_token=session.resume_token, next_final_index=next_final_index
        )
        return self.stub.WatchSession(request, metadata=self.caller.metadata(), timeout=60)

    def close(self, session: speech_service_pb2.SessionStarted) -> Any:
        request = pb.CloseSessionRequest(session_id=session.session_id, resume_token=session.resume_token)
        return self.stub.CloseSession(request, metadata=self.caller.metadata(), timeout=20)

    @property
    def conversation(self) -> ScriptedConversation:
        """The newest."""
        return self.conversations.opened[-1]

    async def comes_true(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.001)


@pytest.fixture
def limits() -> PushLimits:
    """So that only what a test is about can happen."""
    return PushLimits(patience_s=60, last_final_s=60)


@pytest.fixture
async def client(limits: PushLimits) -> AsyncIterator[Client]:
    conversations = ScriptedConversations()
    sessions = PushedSessions(conversations, limits)
    server, _, names = lifecycle.build([live_session_service.mount(sessions)])
    assert names == ["ai2text.asr.v1.LiveSessionService"]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with channel.connect(f"127.0.0.1:{port}") as to:
            yield Client(pb_grpc.LiveSessionServiceStub(to), conversations, sessions)
    finally:
        await sessions.close()
        await server.stop(0)


impatient = pytest.mark.parametrize("limits", [PushLimits(patience_s=0.05, last_final_s=0.05)])


async def names(watch: Any) -> list[str]:
    """What a watch tells until it ends."""
    return [named(response.event) async for response in watch]


async def vanishes(client: Client, watch: Any, time: LoopTime) -> None:
    """Who watches is there, however long it takes; who does not has left its session after a while."""
    time.passes(PushLimits.idle_s)
    await asyncio.sleep(0.01)
    assert not client.conversation.parked
    watch.cancel()
    while not client.conversation.parked:  # the while begins when the server notices
        time.passes(PushLimits.idle_s)
        await asyncio.sleep(0.01)
