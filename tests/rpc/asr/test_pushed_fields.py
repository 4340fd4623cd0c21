"""Every field that a client of LiveSessionService sets: that it changes the result. Sessions are those of a stream."""

from collections.abc import Awaitable
from typing import Any

import pytest
from ai2text.asr.v1 import live_session_service_pb2 as pb
from ai2text.asr.v1 import session_pb2, speech_service_pb2

from servers.asr.live import Limits
from servers.asr.session import CREDIT_MS, MAX_FINISHED
from tests.fakes.clocks import LoopTime
from tests.rpc.asr.conftest import LINEAR16, Speech, pcm
from tests.rpc.asr.fields import Changed, fields_of, set_fields
from tests.rpc.asr.formats import seconds
from tests.rpc.asr.pushes import METADATA, Started, close, finals, names, opened, push, watch
from tests.rpc.refusals import refusal

CHANGED = Changed()

ENDINGS: list[dict[str, Any]] = [
    {"silence": speech_service_pb2.Silence(duration=seconds(1))},
    {"force_end_of_utterance": speech_service_pb2.ForceEndOfUtterance()},
    {"audio": pcm((1.0, 0.0))},
]


@CHANGED.by(
    "OpenSessionRequest.config",
    "PushAudioRequest.audio",
    "PushAudioRequest.silence",
    "PushAudioRequest.force_end_of_utterance",
)
@pytest.mark.parametrize("ending", ENDINGS, ids=[next(iter(ending)) for ending in ENDINGS])
async def test_each_payload_is_heard(speech: Speech, ending: dict[str, Any]) -> None:
    session = await opened(speech)
    await push(speech, session, 0, audio=pcm((2.0, 0.5)))
    await push(speech, session, 1, **ending)
    assert await finals(watch(speech, session), 1) == ["one two"]
    heard_ms = 2_000 if "force_end_of_utterance" in ending else 3_000
    assert (await close(speech, session)).cursors.received_ms == heard_ms


@CHANGED.by("PushAudioRequest.sequence")
async def test_a_piece_is_heard_once_by_its_number(speech: Speech) -> None:
    session = await opened(speech)
    for sequence in (0, 1, 1, 0, 2):
        acknowledged = await push(speech, session, sequence, audio=pcm((1.0, 0.5)))
    assert acknowledged.next_sequence == 3
    assert (await close(speech, session)).cursors.received_ms == 3_000


@CHANGED.by("PushAudioRequest.keepalive")
@pytest.mark.parametrize("limits", [Limits(idle_s=60.0, closing_s=0.05)])
@pytest.mark.parametrize("alive", [True, False])
async def test_a_sign_of_life_keeps_a_session_open(
    speech: Speech, monkeypatch: pytest.MonkeyPatch, alive: bool
) -> None:
    time, patiently, awaited = LoopTime(monkeypatch), speech.sessions.patiently, []

    async def counted(piece: Awaitable[Any]) -> Any:
        awaited.append(piece)
        return await patiently(piece)

    monkeypatch.setattr(speech.sessions, "patiently", counted)
    session = await opened(speech)
    watching = watch(speech, session)
    await push(speech, session, 0, audio=pcm((0.5, 0.5)))
    while not (await watching.read()).event.HasField("speech_started"):
        pass
    for sequence in range(1, 4 if alive else 1):
        await speech.settled(lambda: len(awaited) == sequence + 1)  # noqa: B023
        time.passes(35.0)
        await push(speech, session, sequence, keepalive=speech_service_pb2.Keepalive())
    if alive:
        assert (await close(speech, session)).cursors.received_ms == 500
    else:
        await speech.settled(lambda: len(awaited) == 2)
        time.passes(61.0)
        assert (await refusal(finals(watching, 1))).reason == "STREAM_IDLE"


@CHANGED.by(
    "PushAudioRequest.session_id",
    "PushAudioRequest.resume_token",
    "WatchSessionRequest.session_id",
    "WatchSessionRequest.resume_token",
    "CloseSessionRequest.session_id",
    "CloseSessionRequest.resume_token",
)
async def test_every_call_goes_to_the_session_that_it_names_with_its_token(speech: Speech) -> None:
    one, two = await opened(speech), await opened(speech)
    await push(speech, one, 0, audio=pcm((2.0, 0.5)))
    mixed = [
        Started(session_id=one.session_id, resume_token=two.resume_token),
        Started(session_id=two.session_id, resume_token=one.resume_token),
    ]
    for wrong in mixed:
        for call in (push(speech, wrong, 1, audio=b""), watch(speech, wrong), close(speech, wrong)):
            assert (await refusal(call)).reason == "SESSION_NOT_FOUND"
    ends = [(await close(speech, session)).cursors.received_ms for session in (one, two)]
    assert ends == [2_000, 0]
    assert await finals(watch(speech, one), 1) == ["one two"]
    assert [told.event.WhichOneof("event") async for told in watch(speech, two)] == ["status"]


@CHANGED.by("WatchSessionRequest.next_final_index")
async def test_finals_that_the_client_has_are_not_told_again(speech: Speech) -> None:
    session = await opened(speech)
    await push(speech, session, 0, audio=pcm((1.0, 0.5), (1.0, 0.0), (2.0, 0.5), (1.0, 0.0)))
    for index, expected in ((0, ["one", "one two"]), (1, ["one two"])):
        watching = watch(speech, session, index)
        assert await finals(watching, len(expected)) == expected
        watching.cancel()


@CHANGED.by("OpenSessionRequest.resume")
async def test_a_pushed_session_goes_on_at_another_server(speech: Speech, other: Speech) -> None:
    session = await opened(speech)
    await push(speech, session, 0, audio=pcm((1.0, 0.5), (1.0, 0.0), (2.0, 0.5), (1.0, 0.0), (2.0, 0.5)))
    assert await finals(watch(speech, session), 2) == ["one", "one two"]
    resuming = pb.OpenSessionRequest(resume=session_pb2.Resume(next_final_index=2, **names(session)))
    again = (await other.pushing.OpenSession(resuming, metadata=METADATA)).session
    assert again.session_id == session.session_id
    data = pcm((1.0, 0.5), (1.0, 0.0), (2.0, 0.5), (1.0, 0.0), (2.0, 0.5), (1.0, 0.0))
    await push(other, again, 0, audio=data[32 * again.replay_from_ms :])
    closed = await close(other, again)
    assert (closed.cursors.final_index, closed.cursors.received_ms) == (3, 8_000)
    assert await finals(watch(other, again, 2), 1) == ["one two"]


async def test_each_field_of_an_answer_is_set(speech: Speech) -> None:
    config = speech_service_pb2.StreamingConfig(format=LINEAR16)
    opening = await speech.pushing.OpenSession(pb.OpenSessionRequest(config=config), metadata=METADATA)
    watching = watch(speech, opening.session)
    pushed = await push(speech, opening.session, 0, audio=pcm((1.0, 0.5), (1.0, 0.0)))
    watched = await watching.read()
    assert pushed.credit.ToMilliseconds() == CREDIT_MS * MAX_FINISHED
    closed = await close(speech, opening.session)
    found = {name for answer in (opening, pushed, watched, closed) for name in set_fields(answer)}
    for answer in (opening, pushed, watched, closed):
        assert {f"{answer.DESCRIPTOR.name}.{field.name}" for field in answer.DESCRIPTOR.fields} <= found


def test_each_field_that_a_client_sets_has_a_test_in_which_it_changes_the_result() -> None:
    service = pb.DESCRIPTOR.services_by_name["LiveSessionService"]
    first = [speech_service_pb2.StreamingConfig, speech_service_pb2.Silence, session_pb2.Resume]
    elsewhere = fields_of(message.DESCRIPTOR for message in first)  # see test_fields
    assert fields_of(method.input_type for method in service.methods) - elsewhere == CHANGED
