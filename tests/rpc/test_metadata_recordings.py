"""RecordingService over a real port: what it answers, and every way it refuses."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from ai2text.metadata.v1 import recording_pb2
from ai2text.metadata.v1.recording_service_pb2 import (
    CreateRecordingRequest,
    GetRecordingRequest,
    ListRecordingsRequest,
)

from tests.rpc.metadata_server import Served, headers, served
from tests.rpc.refusals import refusal

LIVE = recording_pb2.RECORDING_SOURCE_LIVE
FILE = recording_pb2.RECORDING_SOURCE_FILE
ID = "0b9ff9d4-6a3c-4b9e-9d0c-0c2d7f1f8a11"


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    async with served() as running:
        yield running


async def create(server: Served, tenant: str = "acme", **fields: Any) -> recording_pb2.Recording:
    request = CreateRecordingRequest(**{"title": "Bản tin", "source": LIVE, **fields})
    return (await server.recordings.CreateRecording(request, metadata=headers(tenant))).recording


async def test_a_recording_is_made_and_found(server: Served) -> None:
    made = await create(server, recording_id=ID.upper(), source=FILE, language_code="vi")
    assert (made.recording_id, made.title, made.source, made.language_code) == (ID, "Bản tin", FILE, "vi")
    assert (made.duration_ms, made.segment_count) == (0, 0)
    assert made.create_time.seconds > 0
    found = await server.recordings.GetRecording(GetRecordingRequest(recording_id=ID), metadata=headers())
    assert found.recording == made


async def test_an_id_is_chosen_for_a_caller_who_names_none(server: Served) -> None:
    made = [await create(server), await create(server)]
    assert len({uuid.UUID(one.recording_id) for one in made}) == 2


async def test_creating_again_answers_the_same(server: Served) -> None:
    assert await create(server, recording_id=ID) == await create(server, recording_id=ID)


@pytest.mark.parametrize("other", [{"title": "Other"}, {"source": FILE}, {"language_code": "en"}])
async def test_creating_again_with_other_content_is_refused(server: Served, other: dict[str, Any]) -> None:
    await create(server, recording_id=ID)
    refused = await refusal(create(server, recording_id=ID, **other))
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ALREADY_EXISTS")


async def test_an_id_of_another_tenant_is_refused_without_a_word_about_it(server: Served) -> None:
    await create(server, "acme", recording_id=ID, title="secret")
    theirs = await refusal(create(server, "beta", recording_id=ID, title="secret"))
    own = await refusal(create(server, "acme", recording_id=ID, title="other"))
    assert theirs == own
    assert "secret" not in str(theirs)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": " "}, "title"),
        ({"title": "ă" * 201}, "title"),
        ({"title": "a\x00"}, "title"),
        ({"source": recording_pb2.RECORDING_SOURCE_UNSPECIFIED}, "source"),
        ({"source": 99}, "source"),
        ({"language_code": "vietnamese"}, "language_code"),
        ({"language_code": "VI"}, "language_code"),
        ({"recording_id": "1"}, "recording_id"),
    ],
)
async def test_a_bad_field_is_named(server: Served, fields: dict[str, Any], field: str) -> None:
    refused = await refusal(create(server, **fields))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refused.field == refused.metadata["field"] == field
    assert not server.store.recordings_by_id


async def test_titles_are_counted_in_characters(server: Served) -> None:
    assert len((await create(server, title="ă" * 200)).title) == 200


@pytest.mark.parametrize("tenant", ["acme", "beta"])
async def test_what_is_not_there_and_what_is_another_tenants_look_alike(server: Served, tenant: str) -> None:
    if tenant == "beta":
        await create(server, "acme", recording_id=ID)
    call = server.recordings.GetRecording(GetRecordingRequest(recording_id=ID), metadata=headers(tenant))
    refused = await refusal(call)
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "RECORDING_NOT_FOUND")
    assert refused.metadata == {"recording_id": ID}
    assert refused.message == "there is no such recording"


@pytest.mark.parametrize("recording_id", ["", "x", "a\x00"])
async def test_getting_by_no_id_is_refused(server: Served, recording_id: str) -> None:
    refused = await refusal(
        server.recordings.GetRecording(GetRecordingRequest(recording_id=recording_id), metadata=headers())
    )
    assert (refused.code, refused.field) == (grpc.StatusCode.INVALID_ARGUMENT, "recording_id")


async def test_pages_hold_every_recording_once_newest_first(server: Served) -> None:
    made = [await create(server, title=f"{number}") for number in range(7)]
    await create(server, "beta")
    listed, token = [], ""
    for size in (3, 2, 0):
        request = ListRecordingsRequest(page_size=size, page_token=token)
        page = await server.recordings.ListRecordings(request, metadata=headers())
        listed.extend(page.recordings)
        token = page.next_page_token
    assert listed == made[::-1]
    assert token == ""


async def test_page_sizes(server: Served) -> None:
    for number in range(51):
        await create(server, title=f"{number}")
    default = await server.recordings.ListRecordings(ListRecordingsRequest(), metadata=headers())
    assert (len(default.recordings), bool(default.next_page_token)) == (50, True)
    huge = ListRecordingsRequest(page_size=2**32 - 1)
    assert len((await server.recordings.ListRecordings(huge, metadata=headers())).recordings) == 51


async def test_a_token_of_another_tenant_or_of_nobody_is_refused(server: Served) -> None:
    for number in range(2):
        await create(server, title=f"{number}")
    page = await server.recordings.ListRecordings(ListRecordingsRequest(page_size=1), metadata=headers())
    for tenant, token in (("beta", page.next_page_token), ("acme", page.next_page_token[:-1]), ("acme", "ă")):
        request = ListRecordingsRequest(page_token=token)
        refused = await refusal(server.recordings.ListRecordings(request, metadata=headers(tenant)))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


CALLS = {
    "CreateRecording": (CreateRecordingRequest(title="t", source=LIVE), "recordings.write"),
    "GetRecording": (GetRecordingRequest(recording_id=ID), "recordings.read"),
    "ListRecordings": (ListRecordingsRequest(), "recordings.read"),
}


@pytest.mark.parametrize("method", CALLS)
async def test_a_call_needs_an_identity_and_its_scope(server: Served, method: str) -> None:
    request, scope = CALLS[method]
    call = getattr(server.recordings, method)
    nobody = await refusal(call(request))
    assert (nobody.code, nobody.reason) == (grpc.StatusCode.UNAUTHENTICATED, "IDENTITY_MISSING")
    scopes = frozenset({"speech", "search", "recordings.read", "recordings.write"} - {scope})
    lacking = await refusal(call(request, metadata=headers(scopes=scopes)))
    assert (lacking.code, lacking.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
    assert lacking.metadata == {"scope": scope}


@pytest.mark.parametrize("method", CALLS)
async def test_while_postgres_is_away_a_retry_is_asked_for(server: Served, method: str) -> None:
    server.store.down = True
    refused = await refusal(getattr(server.recordings, method)(CALLS[method][0], metadata=headers()))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
    assert refused.metadata == {"dependency": "postgres"}
    assert refused.retry_s == 2.0
    server.store.down = False
    await create(server)
