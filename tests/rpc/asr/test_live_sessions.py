"""LiveSessionService over a real port: what is pushed is heard once and in order, what is told is watched."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from ai2text.asr.v1 import audio_pb2, session_pb2, speech_service_pb2
from ai2text.asr.v1 import live_session_service_pb2 as pb
from ai2text.asr.v1 import live_session_service_pb2_grpc as pb_grpc
from google.protobuf import duration_pb2

from servers.asr import live_session_service
from servers.asr.news import MAX_FINALS
from servers.asr.pieces import MAX_QUEUED
from servers.asr.pushing import PushedSessions, PushLimits
from servers.asr.requests import MAX_CHUNK_BYTES
from servers.common import channel, lifecycle
from servers.common.errors import (
    DependencyUnavailable,
    Draining,
    FieldInvalid,
    Overloaded,
    SessionNotFound,
    SessionTakenOver,
    StreamIdle,
)
from servers.common.identity import Caller
from tests.fakes.clocks import LoopTime
from tests.fakes.conversations import (
    ScriptedConversation,
    ScriptedConversations,
    final,
    named,
    partial,
    speech_started,
)
from tests.rpc import refusals
from tests.rpc.refusals import refusal

CALLER = Caller("acme", "lan", frozenset({"speech"}))
Code = grpc.StatusCode


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


# The way through.


async def test_a_session_from_its_opening_to_its_last_final(client: Client) -> None:
    config = config_of("LINEAR16")
    config.title, config.language_code = "Họp", "vi"
    session = await client.open(config=config)
    assert client.conversations.asked == [(CALLER, config)]
    watching = asyncio.create_task(names(client.watch(session)))
    for sequence in range(3):
        acknowledged = await client.push(session, sequence)
        assert acknowledged.next_sequence == sequence + 1
        assert acknowledged.credit.ToMilliseconds() == client.conversation.credit_ms
    await client.push(session, 3, silence=speech_service_pb2.Silence(duration=duration_pb2.Duration(seconds=60)))
    await client.push(session, 4, force_end_of_utterance=speech_service_pb2.ForceEndOfUtterance())
    await client.push(session, 5, keepalive=speech_service_pb2.Keepalive())
    client.conversation.tell(speech_started(10), final(0), final(1))
    closed = await client.close(session)
    assert (closed.cursors.received_ms, closed.cursors.final_index) == (600, 2)
    assert await watching == ["started 10", "final 0", "final 1"]
    kinds = [piece.WhichOneof("payload") for piece in client.conversation.heard]
    assert kinds == ["audio", "audio", "audio", "silence", "force_end_of_utterance", "keepalive"]
    assert not client.conversation.parked


async def test_the_acknowledgement_says_how_far_the_session_has_come(client: Client) -> None:
    session = await client.open()
    await client.push(session, 0)
    await client.comes_true(lambda: client.conversation.heard)
    assert (await client.push(session, 0)).cursors.received_ms == 100


async def test_a_session_is_opened_again_by_its_token(client: Client) -> None:
    first = await client.open()
    resume = session_pb2.Resume(session_id=first.session_id, resume_token=first.resume_token, next_final_index=7)
    again = await client.open(resume=resume)
    assert client.conversations.asked[-1] == (CALLER, resume)
    assert again.session_id == first.session_id
    client.conversation.tell(final(7))
    await client.close(again)
    assert await names(client.watch(again, 7)) == ["final 7"]


# Pushing.


async def test_pushes_that_overlap_are_heard_in_order(client: Client) -> None:
    session = await client.open()
    order = [5, 2, 0, 1, 4, 3, *range(30, 5, -1)]
    await asyncio.gather(*(client.push(session, sequence) for sequence in order))
    await client.close(session)
    assert [piece.audio for piece in client.conversation.heard] == [b"%d" % sequence for sequence in range(31)]


async def test_a_push_that_is_repeated_is_heard_once(client: Client) -> None:
    session = await client.open()
    for sequence in (0, 0, 1, 0, 1):
        acknowledged = await client.push(session, sequence)
    assert acknowledged.next_sequence == 2
    await client.close(session)
    assert [piece.audio for piece in client.conversation.heard] == [b"0", b"1"]
    assert (await client.push(session, 1)).next_sequence == 2


@impatient
async def test_a_piece_without_those_before_it_is_a_gap(client: Client) -> None:
    session = await client.open()
    await client.push(session, 0)
    for sequence in (2, 34, 2**64 - 1):
        refused = await refusal(client.push(session, sequence))
        assert (refused.code, refused.reason) == (Code.FAILED_PRECONDITION, "SEQUENCE_GAP")
        assert refused.metadata == {"next_sequence": "1"}
    assert (await client.push(session, 1)).next_sequence == 2


async def test_without_credit_pushes_wait(client: Client) -> None:
    session = await client.open()
    client.conversation.listening.clear()
    pushing = [asyncio.ensure_future(client.push(session, sequence)) for sequence in range(MAX_QUEUED + 3)]
    await client.comes_true(lambda: sum(push.done() for push in pushing) >= MAX_QUEUED)
    await client.push(session, 0)
    assert sum(push.done() for push in pushing) <= MAX_QUEUED + 1, "one may be in the hands of the conversation"
    client.conversation.listening.set()
    await asyncio.gather(*pushing)
    await client.comes_true(lambda: len(client.conversation.heard) == MAX_QUEUED + 3)


@impatient
async def test_a_session_that_stays_full_refuses_and_says_when_to_try_again(client: Client) -> None:
    session = await client.open()
    client.conversation.listening.clear()
    refused = None
    for sequence in range(MAX_QUEUED + 2):
        try:
            await client.push(session, sequence)
        except grpc.aio.AioRpcError as error:
            refused = refusals.of(error)
            break
    assert refused is not None
    assert (refused.code, refused.reason) == (Code.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert refused.retry_s
    client.conversation.listening.set()
    assert (await client.push(session, sequence)).next_sequence == sequence + 1


# Watching.


async def test_a_watch_that_breaks_loses_nothing(client: Client) -> None:
    session = await client.open()
    client.conversation.tell(*(final(index) for index in range(5)))
    broken = client.watch(session)
    for index in range(3):
        assert named((await broken.read()).event) == f"final {index}"
    broken.cancel()
    client.conversation.tell(final(5))
    await client.close(session)
    assert await names(client.watch(session, 2)) == [f"final {index}" for index in range(2, 6)]


async def test_of_two_watches_the_second_goes_on(client: Client) -> None:
    session = await client.open()
    first = client.watch(session)
    client.conversation.tell(final(0))
    assert named((await first.read()).event) == "final 0"
    second = asyncio.create_task(names(client.watch(session, 1)))
    refused = await refusal(first)
    assert (refused.code, refused.reason) == (Code.ABORTED, "SESSION_TAKEN_OVER")
    client.conversation.tell(final(1))
    await client.close(session)
    assert await second == ["final 1"]


async def test_finals_that_are_no_longer_kept_are_named(client: Client) -> None:
    session = await client.open()
    client.conversation.tell(*(final(index) for index in range(3)))
    watch = client.watch(session, 0)
    for _ in range(3):
        await watch.read()
    second = client.watch(session, 2)
    assert named((await second.read()).event) == "final 2"
    refused = await refusal(client.watch(session, 1))
    assert (refused.code, refused.reason) == (Code.OUT_OF_RANGE, "FINALS_FORGOTTEN")
    assert refused.metadata == {"oldest_final_index": "2"}


async def test_a_watch_cannot_have_finals_that_are_not_made(client: Client) -> None:
    session = await client.open()
    refused = await refusal(client.watch(session, 1))
    assert (refused.code, refused.reason, refused.field) == (Code.INVALID_ARGUMENT, "FIELD_INVALID", "next_final_index")


async def test_who_comes_late_sees_all_finals_and_the_newest_partial(client: Client) -> None:
    session = await client.open()
    client.conversation.tell(partial("a"), final(0), partial("b"), partial("b c"))
    await client.comes_true(lambda: not client.conversation.untold)
    await client.close(session)
    assert await names(client.watch(session)) == ["final 0", "partial b c"]


async def held_back(client: Client) -> int:
    """Wait until the newest session makes no more finals; how many it has made."""
    before = -1
    while before != client.conversation.cursors.final_index or before < MAX_FINALS:
        before = client.conversation.cursors.final_index
        await asyncio.sleep(0.3)
    return before


async def test_a_slow_watcher_holds_the_session_back_and_loses_no_final(client: Client) -> None:
    session = await client.open()
    long, count = "x" * 60_000, 4 * MAX_FINALS
    client.conversation.tell(*(event for index in range(count) for event in (partial("p"), final(index, long))))
    watch = client.watch(session)
    first = (await watch.read()).event
    assert await held_back(client) < count
    closing = asyncio.ensure_future(client.close(session))
    told = [first, *[response.event async for response in watch]]
    await closing
    assert [event.final.final_index for event in told if event.HasField("final")] == list(range(count))
    assert sum(event.HasField("partial") for event in told) < count


async def vanishes(client: Client, watch: Any, time: LoopTime) -> None:
    """Who watches is there, however long it takes; who does not has left its session after a while."""
    time.passes(PushLimits.idle_s)
    await asyncio.sleep(0.01)
    assert not client.conversation.parked
    watch.cancel()
    while not client.conversation.parked:  # the while begins when the server notices
        time.passes(PushLimits.idle_s)
        await asyncio.sleep(0.01)


async def test_a_slow_watcher_that_vanishes_is_noticed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    session = await client.open()
    client.conversation.tell(*(final(index, "x" * 60_000) for index in range(4 * MAX_FINALS)))
    watch = client.watch(session)
    await watch.read()
    await held_back(client)
    await vanishes(client, watch, LoopTime(monkeypatch))


async def test_events_without_watcher_hold_nothing_back_but_finals(client: Client) -> None:
    session = await client.open()
    client.conversation.tell(*(event for _ in range(500) for event in (speech_started(0), partial("p"))))
    await client.comes_true(lambda: not client.conversation.untold)
    client.conversation.tell(*(final(index) for index in range(MAX_FINALS + 10)))
    await client.comes_true(lambda: client.conversation.cursors.final_index == MAX_FINALS + 1)
    watching = asyncio.create_task(names(client.watch(session)))
    await client.close(session)
    assert [name for name in await watching if "final" in name] == [f"final {n}" for n in range(MAX_FINALS + 10)]


# The end.


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (SessionTakenOver("resumed elsewhere"), Code.ABORTED, "SESSION_TAKEN_OVER"),
        (StreamIdle("nothing came", limit_seconds="60"), Code.DEADLINE_EXCEEDED, "STREAM_IDLE"),
        (Draining("shutting down"), Code.UNAVAILABLE, "DRAINING"),
        (DependencyUnavailable("triton"), Code.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE"),
        (RuntimeError("secret detail"), Code.INTERNAL, "INTERNAL"),
    ],
)
async def test_what_ended_a_session_is_told_to_every_call(
    client: Client, error: Exception, code: grpc.StatusCode, reason: str
) -> None:
    session = await client.open()
    await client.push(session, 0)
    early = asyncio.ensure_future(client.push(session, 2))
    client.conversation.tell(final(0), error)
    watch = client.watch(session)
    assert named((await watch.read()).event) == "final 0"
    for call in (watch, early, client.push(session, 1), client.push(session, 0), client.close(session)):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (code, reason)
        assert "secret" not in refused.message
    assert client.conversation.parked


async def test_closing_may_be_repeated(client: Client) -> None:
    session = await client.open()
    await client.push(session, 0)
    first, second = await asyncio.gather(client.close(session), client.close(session))
    assert first == second == await client.close(session)
    refused = await refusal(client.push(session, 1))
    assert (refused.code, refused.reason) == (Code.NOT_FOUND, "SESSION_NOT_FOUND")


@impatient
async def test_closing_a_session_whose_finals_nobody_watches_can_be_tried_again(client: Client) -> None:
    session = await client.open()
    client.conversation.tell(*(final(index) for index in range(MAX_FINALS + 5)))
    refused = await refusal(client.close(session))
    assert (refused.code, refused.reason) == (Code.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert len(await names(client.watch(session))) == MAX_FINALS + 5
    assert (await client.close(session)).cursors.final_index == MAX_FINALS + 5


async def test_a_client_that_vanishes_leaves_its_session_parked(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await client.open()
    watch = client.watch(session)
    client.conversation.tell(final(0))
    assert named((await watch.read()).event) == "final 0"
    await vanishes(client, watch, LoopTime(monkeypatch))
    refused = await refusal(client.push(session, 0))
    assert (refused.code, refused.reason) == (Code.NOT_FOUND, "SESSION_NOT_FOUND")


async def test_the_end_of_the_server_parks_every_session(client: Client) -> None:
    session = await client.open()
    watch = client.watch(session)
    client.conversation.tell(final(0))
    await watch.read()
    await client.sessions.close()
    assert client.conversation.parked
    for call in (watch, client.push(session, 0), client.stub.OpenSession(_config(), metadata=CALLER.metadata())):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (Code.UNAVAILABLE, "DRAINING")
        assert refused.retry_s


# Bad input.


def _config() -> pb.OpenSessionRequest:
    return pb.OpenSessionRequest(config=speech_service_pb2.StreamingConfig())


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (Overloaded("full"), Code.RESOURCE_EXHAUSTED, "OVERLOADED"),
        (SessionNotFound("gone"), Code.NOT_FOUND, "SESSION_NOT_FOUND"),
        (FieldInvalid("config.title", "must have no NUL"), Code.INVALID_ARGUMENT, "FIELD_INVALID"),
        (RuntimeError("secret detail"), Code.INTERNAL, "INTERNAL"),
    ],
)
async def test_what_keeps_a_session_from_beginning_is_told(
    client: Client, error: Exception, code: grpc.StatusCode, reason: str
) -> None:
    client.conversations.refusal = error
    refused = await refusal(client.stub.OpenSession(_config(), metadata=CALLER.metadata()))
    assert (refused.code, refused.reason) == (code, reason)
    assert "secret" not in refused.message
    client.conversations.refusal = None
    assert await client.open()


async def test_a_session_must_begin_with_something(client: Client) -> None:
    refused = await refusal(client.stub.OpenSession(pb.OpenSessionRequest(), metadata=CALLER.metadata()))
    assert (refused.code, refused.reason, refused.field) == (Code.INVALID_ARGUMENT, "FIELD_INVALID", "start")
    assert client.conversations.asked == []


@pytest.mark.parametrize("caller", [Caller("", ""), Caller("acme", "lan", frozenset({"search"}))])
async def test_every_method_needs_the_scope(client: Client, caller: Caller) -> None:
    session = await client.open()
    other = Client(client.stub, client.conversations, client.sessions, caller)
    expected = (
        (Code.PERMISSION_DENIED, "SCOPE_MISSING") if caller.tenant else (Code.UNAUTHENTICATED, "IDENTITY_MISSING")
    )
    opening = client.stub.OpenSession(_config(), metadata=caller.metadata())
    for call in (opening, other.push(session, 0), other.watch(session), other.close(session)):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == expected


STRANGERS = [
    ("acme", "lan", "session-0", "secret-1"),
    ("acme", "lan", "session-0", "secret-0\0"),
    ("acme", "lan", "session-0", "bí mật"),
    ("acme", "lan", "session-1", "secret-0"),
    ("acme", "lan", "session-0\0", "secret-0"),
    ("acme", "mai", "session-0", "secret-0"),
    ("beta", "lan", "session-0", "secret-0"),
]


@pytest.mark.parametrize(("tenant", "subject", "session_id", "token"), STRANGERS)
async def test_a_session_is_there_for_its_caller_with_its_token_only(
    client: Client, tenant: str, subject: str, session_id: str, token: str
) -> None:
    ours = await client.open()
    other = Client(client.stub, client.conversations, client.sessions, Caller(tenant, subject, frozenset({"speech"})))
    session = speech_service_pb2.SessionStarted(session_id=session_id, resume_token=token)
    for call in (other.push(session, 0), other.watch(session), other.close(session)):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (Code.NOT_FOUND, "SESSION_NOT_FOUND")
    assert (await client.push(ours, 0)).next_sequence == 1


@pytest.mark.parametrize("missing", ["session_id", "resume_token"])
async def test_every_call_names_its_session_and_its_token(client: Client, missing: str) -> None:
    session = await client.open()
    session.ClearField(missing)  # type: ignore[arg-type]
    for call in (client.push(session, 0), client.watch(session), client.close(session)):
        refused = await refusal(call)
        assert (refused.code, refused.reason, refused.field) == (Code.INVALID_ARGUMENT, "FIELD_INVALID", missing)


async def test_silence_cannot_be_left_out_of_a_container_and_the_session_goes_on(client: Client) -> None:
    session = await client.open(config=config_of("WEBM"))
    silence = speech_service_pb2.Silence(duration=duration_pb2.Duration(seconds=1))
    refused = await refusal(client.push(session, 0, silence=silence))
    assert (refused.code, refused.reason, refused.field) == (Code.INVALID_ARGUMENT, "FIELD_INVALID", "silence")
    assert (await client.push(session, 0, audio=b"a")).next_sequence == 1


async def test_a_piece_that_breaks_the_contract_is_refused_and_the_session_goes_on(client: Client) -> None:
    session = await client.open()
    empty = pb.PushAudioRequest(session_id=session.session_id, resume_token=session.resume_token)
    refused = await refusal(client.stub.PushAudio(empty, metadata=CALLER.metadata()))
    assert (refused.code, refused.reason, refused.field) == (Code.INVALID_ARGUMENT, "FIELD_INVALID", "payload")
    refused = await refusal(client.push(session, 0, audio=b"\0" * (MAX_CHUNK_BYTES + 1)))
    assert (refused.code, refused.reason) == (Code.INVALID_ARGUMENT, "AUDIO_TOO_LARGE")
    assert refused.metadata == {"limit_bytes": str(MAX_CHUNK_BYTES)}
    for duration in ({"seconds": 61}, {"seconds": 0}, {"seconds": -1}, {"seconds": 2**62}):
        silence = speech_service_pb2.Silence(duration=duration_pb2.Duration(**duration))
        refused = await refusal(client.push(session, 0, silence=silence))
        assert (refused.code, refused.field) == (Code.INVALID_ARGUMENT, "silence.duration")
    assert (await client.push(session, 0, audio=b"\0" * MAX_CHUNK_BYTES)).next_sequence == 1
