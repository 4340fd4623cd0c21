"""What is pushed is heard once and in order."""

import asyncio

import grpc
from ai2text.asr.v1 import session_pb2, speech_service_pb2
from google.protobuf import duration_pb2

from servers.asr.pieces import MAX_QUEUED
from tests.fakes.conversations import final, speech_started
from tests.rpc import refusals
from tests.rpc.asr.pushed.conftest import CALLER, Client, config_of, impatient, names
from tests.rpc.refusals import refusal

Code = grpc.StatusCode


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
