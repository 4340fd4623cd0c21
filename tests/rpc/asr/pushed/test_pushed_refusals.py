"""Calls of pushed sessions that are refused, and the session goes on."""

import grpc
import pytest
from ai2text.asr.v1 import live_session_service_pb2 as pb
from ai2text.asr.v1 import speech_service_pb2
from google.protobuf import duration_pb2

from servers.asr.requests import MAX_CHUNK_BYTES
from servers.common.errors import FieldInvalid, Overloaded, SessionNotFound
from servers.common.identity import Caller
from tests.rpc.asr.pushed.conftest import CALLER, EMPTY, Client, config_of
from tests.rpc.refusals import refusal

Code = grpc.StatusCode


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
    refused = await refusal(client.stub.OpenSession(EMPTY, metadata=CALLER.metadata()))
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
    opening = client.stub.OpenSession(EMPTY, metadata=caller.metadata())
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
