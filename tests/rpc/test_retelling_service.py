"""RetellingService over a real port: what is told again and of whom, in which steps, and every way to be refused."""

import base64
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from ai2text.events.v1.recording_events_pb2 import RecordingDeleted, RecordingUpdated, RecordingUploaded
from ai2text.events.v1.transcript_events_pb2 import TranscriptFinalized
from ai2text.metadata.v1.retelling_service_pb2 import RetellRecordingsRequest

from servers.common.outbox import Event
from servers.metadata import announcement, pages, retelling
from servers.metadata.files import MediaInfo, StoredObject
from servers.metadata.library import Draft
from servers.metadata.recordings import Source
from servers.metadata.retelling import Asked
from servers.metadata.transcripts import NewTranscript
from tests.rpc.embeddings_server import headers
from tests.rpc.refusals import refusal
from tests.rpc.retelling_server import ALLOWED, Served
from tests.rpc.retelling_server import retelling as running

INVALID = grpc.StatusCode.INVALID_ARGUMENT
SOME_ID = "3b99e991-0000-4000-8000-000000000001"


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with running() as served:
        yield served


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two events are told at a time, and a call ends after each two."""
    monkeypatch.setattr(retelling, "FEWEST", 2)
    monkeypatch.setattr(retelling, "LASTS_S", 1e-9)


@pytest.fixture
def soon_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that finds no room ends soon."""
    monkeypatch.setattr(retelling, "LASTS_S", 0.1)


def texts(told: list[Event]) -> list[tuple[str, str]]:
    """Tenant and text of each segment."""
    finals = [TranscriptFinalized.FromString(one.payload) for one in told if one.subject == "transcript.finalized"]
    return [(final.tenant, final.segment.text) for final in finals]


def recordings(told: list[Event]) -> list[tuple[str, str]]:
    """Tenant and id of each recording."""
    updates = [RecordingUpdated.FromString(one.payload) for one in told if one.subject == "recording.updated"]
    return [(update.tenant, update.recording_id) for update in updates]


def deletions(told: list[Event]) -> list[tuple[str, str, str]]:
    """Tenant, id and file of each deleted recording."""
    gone = [RecordingDeleted.FromString(one.payload) for one in told if one.subject == "recording.deleted"]
    return [(one.tenant, one.recording_id, one.object_key) for one in gone]


def ids(told: list[Event]) -> list[str]:
    return [one.event_id for one in told]


async def test_all_that_all_tenants_have_is_told_again(served: Served) -> None:
    first = await served.recorded("acme", "một", "hai")
    second = await served.recorded("acme", "ba", transcripts=2)
    empty = await served.recorded("acme")
    gone = await served.deleted("zeta")
    rival = await served.recorded("rival", "bốn")
    (answer,) = await served.retell_all()
    assert recordings(served.told) == [("acme", first), ("acme", second), ("acme", empty), ("rival", rival)]
    assert texts(served.told) == [("acme", "một"), ("acme", "hai"), ("acme", "ba"), ("acme", "ba"), ("rival", "bốn")]
    assert deletions(served.told) == [("zeta", gone, "")]
    assert (answer.recording_count, answer.segment_count, answer.deleted_count) == (4, 5, 1)
    assert answer.tenant == "zeta"
    assert served.audience.heard == [True, False]


async def test_what_is_told_is_what_was_told_but_for_its_id_and_time(served: Served) -> None:
    recording_id = await served.recorded("acme", "một")
    await served.retell_all()
    updated, final = served.told
    (recording,) = [one for _, one in served.store.recordings_by_id.values()]
    ((transcript_id, (_, transcript)),) = served.store.transcripts_by_id.items()
    first = announcement.updated("acme", recording)
    first_final = announcement.finalized("acme", transcript.content, served.store.segments_by_id[transcript_id][0])
    for told, of, message in ((updated, first, RecordingUpdated()), (final, first_final, TranscriptFinalized())):
        again, before = type(message).FromString(told.payload), type(message).FromString(of.payload)
        assert again.event_id == told.event_id != of.event_id
        assert told.subject == of.subject
        for one in (again, before):
            one.ClearField("event_id")
            one.ClearField("event_time")
        assert again == before
    assert recordings(served.told) == [("acme", recording_id)]


async def test_what_counts_no_more_is_told_of_again(served: Served) -> None:
    recording_id = await served.recorded("acme", "một")
    (first,) = served.store.transcripts_by_id
    await served.store.add_transcript("acme", NewTranscript(str(uuid.uuid4()), recording_id, "whisper-base"))
    tenant, recording = served.store.recordings_by_id[recording_id]
    served.store.recordings_by_id[recording_id] = tenant, replace(recording, superseded=())  # as lists have it
    await served.retell_all()
    (told,) = [RecordingUpdated.FromString(one.payload) for one in served.told if one.subject == "recording.updated"]
    assert (told.version, list(told.superseded_transcript_ids)) == (2, [first])


async def test_of_a_file_only_who_makes_operations_is_told(served: Served, few: None) -> None:
    sha256 = bytes(range(32))
    object = StoredObject(f"audio/acme/{sha256.hex()}", 10, sha256, 1)
    draft = Draft("Họp", Source.FILE, object=object, media=MediaInfo("wav", "pcm_s16le", 16_000, 1, 1000))
    made = await served.library.create("acme", "lan", draft)
    await served.recorded("acme", "một", "hai")
    await served.retell_all()
    assert "recording.uploaded" not in {one.subject for one in served.told}
    (told,) = [one for one in served.told if one.subject == "replay.batch-operations.recording.uploaded"]
    uploaded = RecordingUploaded.FromString(told.payload)
    assert (uploaded.tenant, uploaded.recording_id, uploaded.object_key) == ("acme", made.recording_id, object.key)
    assert uploaded.subject
    assert uploaded.event_id == told.event_id
    assert len(recordings(served.told)) == 2
    assert len(texts(served.told)) == 2


async def test_what_is_told_again_names_its_channel(served: Served) -> None:
    await served.recorded("acme", "một", "hai", transcripts=3)
    await served.retell_all()
    finals = [TranscriptFinalized.FromString(one.payload) for one in served.told if "finalized" in one.subject]
    assert Counter(final.segment.channel for final in finals) == {0: 2, 1: 2, 2: 2}


async def test_each_retelling_has_ids_of_its_own_so_that_no_window_swallows_it(served: Served) -> None:
    await served.recorded("acme", "một", "hai")
    await served.deleted("acme")
    await served.retell_all()
    await served.retell_all()
    assert len(served.told) == 8
    assert len(set(ids(served.told))) == 8


async def test_a_call_that_is_repeated_tells_the_same_events(served: Served, few: None) -> None:
    await served.recorded("acme", "một", "hai", "ba")
    token = (await served.retell()).next_page_token
    token = (await served.retell(page_token=token)).next_page_token
    served.told.clear()
    answers = [await served.retell(page_token=token) for _ in range(2)]
    assert answers[0] == answers[1]
    first, second = ids(served.told[: len(served.told) // 2]), ids(served.told[len(served.told) // 2 :])
    assert first == second
    assert first


async def test_small_steps_tell_everything_once(served: Served, few: None) -> None:
    many = [await served.recorded("acme", *"abcde"[:n], transcripts=2) for n in range(6)]
    gone = [await served.deleted("acme") for _ in range(5)]
    await served.recorded("rival", "x")
    answers = await served.retell_all()
    assert len(answers) > 10
    assert all(answer.recording_count + answer.segment_count + answer.deleted_count <= 2 for answer in answers)
    assert [id for tenant, id in recordings(served.told) if tenant == "acme"] == many
    assert sorted(id for _, id, _ in deletions(served.told)) == sorted(gone)
    told = Counter(text for tenant, text in texts(served.told) if tenant == "acme")
    assert told == {"a": 10, "b": 8, "c": 6, "d": 4, "e": 2}
    assert len(set(ids(served.told))) == len(served.told)
    assert sum(answer.segment_count for answer in answers) == 31
    assert served.audience.heard == [True] * len(answers) + [False]


async def test_only_of_one_tenant(served: Served) -> None:
    await served.recorded("acme", "một")
    rival = await served.recorded("rival", "hai")
    await served.deleted("acme")
    await served.retell_all(tenant="rival")
    assert recordings(served.told) == [("rival", rival)]
    assert texts(served.told) == [("rival", "hai")]
    assert deletions(served.told) == []


async def test_only_of_one_recording_which_no_index_needs_to_hear_of(served: Served, few: None) -> None:
    await served.recorded("acme", "một")
    recording_id = await served.recorded("acme", "hai", "ba", "bốn")
    await served.deleted("acme")
    answers = await served.retell_all(tenant="acme", recording_id=recording_id.upper())
    assert recordings(served.told) == [("acme", recording_id)]
    assert texts(served.told) == [("acme", "hai"), ("acme", "ba"), ("acme", "bốn")]
    assert deletions(served.told) == []
    assert len(answers) > 1
    assert served.audience.heard == []


async def test_of_one_recording_that_is_deleted_only_that(served: Served) -> None:
    gone = await served.deleted("acme")
    (answer,) = await served.retell_all(tenant="acme", recording_id=gone)
    assert [(one.subject) for one in served.told] == ["recording.deleted"]
    assert (answer.recording_count, answer.deleted_count) == (0, 1)


async def test_what_is_deleted_meanwhile_is_not_told_of_any_more(served: Served, few: None) -> None:
    doomed = await served.recorded("acme", *"abcdef")
    kept = await served.recorded("acme", "x")
    answer = await served.retell()  # there are no deleted ones
    answer = await served.retell(page_token=answer.next_page_token)
    assert recordings(served.told) == [("acme", doomed)]
    await served.library.delete("acme", doomed, "")
    served.told.clear()
    while answer.next_page_token:
        answer = await served.retell(page_token=answer.next_page_token)
    assert recordings(served.told) == [("acme", kept)]
    assert texts(served.told) == [("acme", "x")]


async def test_where_nothing_is_nothing_is_told(served: Served) -> None:
    for given in ({}, {"tenant": "nobody"}):
        (answer,) = await served.retell_all(**given)
        assert (answer.recording_count, answer.segment_count, answer.deleted_count) == (0, 0, 0)
    assert served.told == []


async def test_while_readers_are_busy_nothing_is_told_and_the_call_says_so(served: Served, soon_over: None) -> None:
    await served.recorded("acme", "một")
    served.audience.busy = retelling.FEWEST
    answer = await served.retell()
    assert served.told == []
    assert answer.next_page_token
    assert answer.waiting_count == retelling.FEWEST
    served.audience.busy = retelling.FEWEST - 1
    answer = await served.retell(page_token=answer.next_page_token)
    assert texts(served.told) == [("acme", "một")]
    assert not answer.next_page_token


async def test_while_the_outbox_is_full_nothing_is_added_to_it(
    served: Served, soon_over: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retelling, "FEWEST", 2)
    await served.recorded("acme", *"abcdef")
    served.relays.append(False)
    answer = await served.retell()
    assert len(served.store.events) == 2
    assert answer.next_page_token
    assert answer.waiting_count == 2


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"recording_id": SOME_ID}, "tenant"),
        ({"tenant": "acme", "recording_id": "some"}, "recording_id"),
        ({"tenant": "ac\x00me"}, "tenant"),
        ({"tenant": "ac\x00me", "recording_id": SOME_ID}, "tenant"),
    ],
)
async def test_wrong_fields_are_named(served: Served, given: dict[str, str], field: str) -> None:
    refused = await refusal(served.retell(**given))
    assert (refused.code, refused.reason, refused.field) == (INVALID, "FIELD_INVALID", field)


async def test_a_recording_that_never_was_is_not_found(served: Served) -> None:
    other = await served.recorded("rival", "một")
    for recording_id in (SOME_ID, other):
        refused = await refusal(served.retell(tenant="acme", recording_id=recording_id))
        assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "RECORDING_NOT_FOUND")
    assert served.told == []


async def test_a_token_goes_with_what_was_asked_for(served: Served, few: None) -> None:
    await served.recorded("acme", "một", "hai", "ba")
    token = (await served.retell(tenant="acme")).next_page_token
    assert token
    for given in ({}, {"tenant": "rival"}, {"tenant": "acme", "recording_id": SOME_ID}):
        refused = await refusal(served.retell(**given, page_token=token))
        assert (refused.code, refused.reason) == (INVALID, "PAGE_TOKEN_INVALID")


def forged(place: str) -> str:
    """A token with a digest that is right: it is no secret."""
    return pages.token(Asked().list, place)


RIGHT: dict[str, Any] = {
    "telling": SOME_ID,
    "until": "2026-11-26T00:00:00+00:00",
    "tenant": "acme",
    "deleted": None,
    "place": f"2026-11-25T00:00:00+00:00|{SOME_ID}",
    "recording_id": SOME_ID,
    "transcript_id": SOME_ID,
    "index": 7,
}


async def test_a_token_of_every_field_is_understood(served: Served) -> None:
    await served.retell(page_token=forged(json.dumps(RIGHT)))


@pytest.mark.parametrize(
    "wrong",
    [
        *({name: value} for name in RIGHT for value in (7.5, [], {}, "x\x00y") if (name, value) != ("tenant", 7.5)),
        {"tenant": ""},
        {"tenant": 7.5},
        {"until": "2026-11-26T00:00:00"},
        {"place": "x"},
        {"index": -2},
        {"index": 2**32},
        {"index": True},
        {"more": 1},
    ],
    ids=str,
)
async def test_a_token_that_was_tampered_with_is_refused(served: Served, wrong: dict[str, Any]) -> None:
    refused = await refusal(served.retell(page_token=forged(json.dumps(RIGHT | wrong))))
    assert (refused.code, refused.reason) == (INVALID, "PAGE_TOKEN_INVALID")


@pytest.mark.parametrize(
    "token", ["x", "§", base64.b64encode(b"x" * 40).decode(), forged("{}"), forged("[]"), forged("x")]
)
async def test_what_is_no_token_is_refused(served: Served, token: str) -> None:
    refused = await refusal(served.retell(page_token=token))
    assert (refused.code, refused.reason) == (INVALID, "PAGE_TOKEN_INVALID")


async def test_it_takes_an_identity_and_the_scope_of_operators(served: Served) -> None:
    await served.recorded("acme", "một")
    request = RetellRecordingsRequest()
    nobody = await refusal(served.stub.RetellRecordings(request))
    assert (nobody.code, nobody.reason) == (grpc.StatusCode.UNAUTHENTICATED, "IDENTITY_MISSING")
    others = headers("recordings.read recordings.write search")
    refused = await refusal(served.stub.RetellRecordings(request, metadata=others))
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
    assert served.told == []
    assert await served.stub.RetellRecordings(request, metadata=ALLOWED)


@pytest.mark.parametrize("away", ["postgres", "nats"])
async def test_while_something_is_away_the_call_says_so(served: Served, away: str) -> None:
    await served.recorded("acme", "một")
    (served.store if away == "postgres" else served.audience).down = True
    refused = await refusal(served.retell())
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
    assert refused.metadata == {"dependency": away}
    assert refused.retry_s
