"""RecordingService over a real port: what it answers, and every way it refuses."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from ai2text.events.v1 import recording_events_pb2
from ai2text.metadata.v1 import recording_pb2, recording_service_pb2
from ai2text.metadata.v1.media_pb2 import MediaInfo, StoredObject
from ai2text.metadata.v1.recording_service_pb2 import (
    CreateRecordingRequest,
    DeleteRecordingRequest,
    FindObjectsRequest,
    GetRecordingRequest,
    ListRecordingsRequest,
    UpdateRecordingRequest,
)
from ai2text.metadata.v1.transcript_pb2 import Segment
from ai2text.metadata.v1.transcript_service_pb2 import AppendSegmentsRequest, CreateTranscriptRequest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from tests.rpc.metadata_server import Served, headers, served
from tests.rpc.refusals import refusal

LIVE = recording_pb2.RECORDING_SOURCE_LIVE
FILE = recording_pb2.RECORDING_SOURCE_FILE
ID = "0b9ff9d4-6a3c-4b9e-9d0c-0c2d7f1f8a11"
SHA256 = bytes(range(32))
KEY = f"audio/acme/{SHA256.hex()}"


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    async with served() as running:
        yield running


async def create(server: Served, tenant: str = "acme", **fields: Any) -> recording_pb2.Recording:
    request = CreateRecordingRequest(**{"title": "Bản tin", "source": LIVE, **fields})
    return (await server.recordings.CreateRecording(request, metadata=headers(tenant))).recording


def stored_object(**fields: Any) -> StoredObject:
    return StoredObject(**{"key": KEY, "size_bytes": 32_044, "sha256": SHA256, "crc32c": 2**32 - 1, **fields})


def media(**fields: Any) -> MediaInfo:
    given = {"container": "wav", "codec": "pcm_s16le", "sample_rate_hz": 16_000, "channel_count": 1}
    return MediaInfo(**{**given, "duration_ms": 61_000, **fields})


async def create_file(server: Served, tenant: str = "acme", **fields: Any) -> recording_pb2.Recording:
    of_tenant = {"object": stored_object(key=f"audio/{tenant}/{SHA256.hex()}"), "media": media()}
    return await create(server, tenant, **{"source": FILE, **of_tenant, **fields})


async def update(server: Served, *paths: str, tenant: str = "acme", **fields: Any) -> recording_pb2.Recording:
    given = recording_pb2.Recording(**{"recording_id": ID, **fields})
    request = UpdateRecordingRequest(recording=given, update_mask=FieldMask(paths=paths))
    return (await server.recordings.UpdateRecording(request, metadata=headers(tenant))).recording


async def delete(server: Served, tenant: str = "acme", **fields: Any) -> None:
    request = DeleteRecordingRequest(**{"recording_id": ID, **fields})
    await server.recordings.DeleteRecording(request, metadata=headers(tenant))


async def listed(server: Served, **fields: Any) -> recording_service_pb2.ListRecordingsResponse:
    return await server.recordings.ListRecordings(ListRecordingsRequest(**fields), metadata=headers())


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


@pytest.mark.parametrize(
    "other", [{"title": "Other"}, {"source": FILE}, {"language_code": "en"}, {"labels": {"show": "news"}}]
)
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
        ({"object": stored_object(), "media": media()}, "object"),
        ({"source": FILE, "object": stored_object()}, "media"),
        ({"source": FILE, "media": media()}, "media"),
        *(
            ({"source": FILE, "object": stored_object(**wrong), "media": media()}, f"object.{name}")
            for name, wrong in (
                ("key", {"key": ""}),
                ("key", {"key": "x" * 501}),
                ("key", {"key": "audio/acme/x"}),
                ("key", {"key": f"audio/beta/{SHA256.hex()}"}),
                ("key", {"key": f"{KEY}\n"}),
                ("sha256", {"sha256": b""}),
                ("sha256", {"sha256": SHA256 + b"x"}),
                ("size_bytes", {"size_bytes": 0}),
                ("size_bytes", {"size_bytes": -1}),
                ("size_bytes", {"size_bytes": 2**63 - 1}),
            )
        ),
        *(
            ({"source": FILE, "object": stored_object(), "media": media(**{name: value})}, f"media.{name}")
            for name, value in (
                ("container", ""),
                ("container", "x" * 101),
                ("codec", "\x00"),
                ("sample_rate_hz", 0),
                ("sample_rate_hz", 2**32 - 1),
                ("channel_count", 0),
                ("channel_count", 2**32 - 1),
                ("duration_ms", -1),
                ("duration_ms", 2**63 - 1),
            )
        ),
        ({"labels": {f"key{number}": "" for number in range(33)}}, "labels"),
        ({"labels": {"": "x"}}, "labels"),
        ({"labels": {"Key": "x"}}, "labels"),
        ({"labels": {"1st": "x"}}, "labels"),
        ({"labels": {"k" * 64: "x"}}, "labels"),
        ({"labels": {"key\n": "x"}}, "labels"),
        ({"labels": {"key": "x" * 201}}, "labels[key]"),
        ({"labels": {"key": "\x00"}}, "labels[key]"),
    ],
)
async def test_a_bad_field_is_named(server: Served, fields: dict[str, Any], field: str) -> None:
    refused = await refusal(create(server, **fields))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refused.field == refused.metadata["field"] == field
    assert not server.store.recordings_by_id


async def test_a_file_and_labels_are_answered_as_given(server: Served) -> None:
    labels = {"show": "news", "done": "", "k" * 63: "ă" * 200}
    made = await create_file(server, recording_id=ID, labels=labels)
    assert (made.object, made.media, dict(made.labels)) == (stored_object(), media(), labels)
    assert (made.duration_ms, made.segment_count, made.etag) == (61_000, 0, "v1")
    found = await server.recordings.GetRecording(GetRecordingRequest(recording_id=ID), metadata=headers())
    assert found.recording == made
    live = await create(server)
    assert not live.HasField("object")
    assert not live.HasField("media")


async def test_a_file_is_announced_once_in_the_name_of_its_creator(server: Served) -> None:
    await create_file(server, recording_id=ID, language_code="vi")
    await create_file(server, recording_id=ID, language_code="vi")
    await create(server)
    (kept,) = (kept for kept in server.store.events if kept.event.subject == "recording.uploaded")
    message = recording_events_pb2.RecordingUploaded.FromString(kept.event.payload)
    assert message.event_id == kept.event.event_id == str(uuid.uuid5(uuid.UUID(ID), "recording.uploaded"))
    assert (kept.event.subject, kept.event.ordering_key) == ("recording.uploaded", ID)
    assert (message.tenant, message.subject, message.recording_id) == ("acme", "someone", ID)
    assert (message.object_key, message.language_code, message.duration_ms) == (KEY, "vi", 61_000)
    assert message.event_time.seconds > 0
    assert server.woken


def told(server: Served, recording_id: str = ID) -> list[recording_events_pb2.RecordingUpdated]:
    """What was told of a recording, in order."""
    events = [kept.event for kept in server.store.events if kept.event.subject == "recording.updated"]
    messages = [recording_events_pb2.RecordingUpdated.FromString(event.payload) for event in events]
    assert [message.event_id for message in messages] == [event.event_id for event in events]
    assert [message.recording_id for message in messages] == [event.ordering_key for event in events]
    assert len({message.event_id for message in messages}) == len(messages)
    return [message for message in messages if message.recording_id == recording_id]


async def test_every_new_recording_is_told_of_live_ones_as_well(server: Served) -> None:
    for _ in range(2):
        live = await create(server, recording_id=ID, title="Họp", language_code="vi", labels={"team": "a", "room": ""})
    uploaded = await create_file(server)
    (message,) = told(server)
    assert (message.tenant, message.recording_id, message.version) == ("acme", ID, 1)
    assert (message.title, message.language_code, dict(message.labels)) == ("Họp", "vi", {"team": "a", "room": ""})
    assert message.create_time == live.create_time
    assert message.event_time.seconds > 0
    assert len(told(server, uploaded.recording_id)) == 1
    assert server.woken


async def test_every_change_is_told_and_nothing_else(server: Served) -> None:
    made = await create(server, recording_id=ID, title="Họp", labels={"team": "a"})
    await update(server, title="Khác")
    await update(server, title="Khác")
    await update(server, "labels")
    await update(server, language_code="en")
    await refusal(update(server, title="x", etag="v1"))
    first, *changes = told(server)
    assert [(one.version, one.title, dict(one.labels), one.language_code) for one in changes] == [
        (2, "Khác", {"team": "a"}, ""),
        (3, "Khác", {}, ""),
        (4, "Khác", {}, "en"),
    ]
    assert {one.create_time.ToNanoseconds() for one in changes} == {made.create_time.ToNanoseconds()}
    assert first.title == "Họp"


@pytest.mark.parametrize(
    "other", [{"object": stored_object(size_bytes=5)}, {"media": media(duration_ms=5)}, {"object": None, "media": None}]
)
async def test_a_file_again_with_another_file_is_refused(server: Served, other: dict[str, Any]) -> None:
    await create_file(server, recording_id=ID)
    refused = await refusal(create_file(server, recording_id=ID, **other))
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ALREADY_EXISTS")


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


async def test_lists_are_narrowed_and_put_in_order(server: Served) -> None:
    first = await create(server, title="Bản tin tối", language_code="vi", labels={"show": "news"})
    second = await create_file(server, title="A talk", language_code="en", labels={"show": "talk"})
    for wanted, fields in (
        ([second, first], {}),
        ([first, second], {"order": recording_service_pb2.RECORDING_ORDER_OLDEST}),
        ([second, first], {"order": recording_service_pb2.RECORDING_ORDER_TITLE}),
        ([second, first], {"order": recording_service_pb2.RECORDING_ORDER_LONGEST}),
        ([first], {"source": LIVE}),
        ([second], {"source": FILE, "language_code": "en"}),
        ([first], {"title_contains": "BẢN"}),
        ([second], {"labels": ["show=talk"]}),
        ([second, first], {"labels": ["show"]}),
        ([], {"labels": ["show", "show="]}),
        ([second], {"created_after": second.create_time}),
        ([first], {"created_before": second.create_time}),
    ):
        assert list((await listed(server, **fields)).recordings) == wanted, fields


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"source": 99}, "source"),
        ({"order": 99}, "order"),
        ({"language_code": "vietnamese"}, "language_code"),
        ({"title_contains": "ă" * 201}, "title_contains"),
        ({"title_contains": "\x00"}, "title_contains"),
        ({"labels": ["key"] * 11}, "labels"),
        ({"labels": ["ok", ""]}, "labels[1]"),
        ({"labels": ["=value"]}, "labels[0]"),
        ({"labels": ["Key=value"]}, "labels[0]"),
        ({"labels": ["key=" + "x" * 201]}, "labels[0]"),
        ({"labels": ["key=\x00"]}, "labels[0]"),
        ({"created_after": Timestamp(nanos=-1)}, "created_after"),
        ({"created_before": Timestamp(seconds=2**62)}, "created_before"),
    ],
)
async def test_a_bad_filter_is_named(server: Served, fields: dict[str, Any], field: str) -> None:
    refused = await refusal(listed(server, **fields))
    assert (refused.code, refused.reason, refused.field) == (
        grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", field
    )  # fmt: skip


async def test_a_token_is_good_for_the_filters_and_the_order_that_it_came_with_alone(server: Served) -> None:
    for number in range(3):
        await create(server, title=f"{number}", language_code="vi", labels={"show": "news"})
    fields: dict[str, Any] = {"language_code": "vi", "labels": ["show"], "page_size": 1}
    token = (await listed(server, **fields)).next_page_token
    assert len((await listed(server, **fields | {"page_size": 7}, page_token=token)).recordings) == 2
    for other in (
        {"language_code": ""},
        {"labels": []},
        {"labels": ["show="]},
        {"title_contains": "1"},
        {"source": LIVE},
        {"created_after": Timestamp(seconds=1)},
        {"created_before": Timestamp(seconds=2**33)},
        *({"order": order} for order in (2, 3, 4)),
    ):
        refused = await refusal(listed(server, **fields | other, page_token=token))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


@pytest.mark.parametrize("order", range(1, 5))
async def test_pages_of_every_order_hold_every_recording_once(server: Served, order: int) -> None:
    for number in range(5):
        await create_file(server, title=f"{number % 2}|", media=media(duration_ms=number % 3))
    found: list[str] = []
    token = ""
    while True:
        page = await listed(server, page_size=2, page_token=token, order=order)
        found += [one.recording_id for one in page.recordings]
        token = page.next_page_token
        if not token:
            break
    assert len(found) == len(set(found)) == 5
    assert found == [one.recording_id for one in (await listed(server, order=order)).recordings]


async def test_what_a_mask_names_is_changed_and_nothing_else(server: Served) -> None:
    made = await create_file(server, recording_id=ID, language_code="vi", labels={"show": "news"})
    renamed = await update(server, "title", title="Mới", language_code="en", labels={"x": "y"}, etag=made.etag)
    assert (renamed.title, renamed.language_code, dict(renamed.labels)) == ("Mới", "vi", {"show": "news"})
    assert renamed.etag != made.etag
    assert renamed.update_time.ToNanoseconds() > made.update_time.ToNanoseconds()
    assert (renamed.object, renamed.media) == (made.object, made.media)
    cleared = await update(server, "language_code", "labels")
    assert (cleared.title, cleared.language_code, dict(cleared.labels)) == ("Mới", "", {})
    found = await server.recordings.GetRecording(GetRecordingRequest(recording_id=ID), metadata=headers())
    assert found.recording == cleared


async def test_without_a_mask_what_is_not_empty_changes(server: Served) -> None:
    made = await create(server, recording_id=ID, language_code="vi", labels={"show": "news"})
    changed = await update(server, labels={"show": "talk"})
    assert (changed.title, changed.language_code, dict(changed.labels)) == (made.title, "vi", {"show": "talk"})
    assert await update(server) == changed


async def test_what_is_changed_to_what_it_is_keeps_its_etag(server: Served) -> None:
    made = await create(server, recording_id=ID)
    assert await update(server, "title", title=made.title) == made


async def test_creating_again_after_a_change_answers_what_it_is_now(server: Served) -> None:
    await create(server, recording_id=ID)
    changed = await update(server, "title", title="Mới")
    assert await create(server, recording_id=ID) == changed
    refused = await refusal(create(server, recording_id=ID, title="Mới"))
    assert refused.reason == "ALREADY_EXISTS"


async def test_a_stale_etag_is_refused(server: Served) -> None:
    made = await create(server, recording_id=ID)
    await update(server, "title", title="Mới")
    for call in (
        update(server, "title", title="Nữa", etag=made.etag),
        update(server, etag=made.etag),
        delete(server, etag=made.etag),
        delete(server, etag="x" * 10_000),
    ):
        refused = await refusal(call)
        assert (refused.code, refused.reason, refused.retry_s) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH", None)
    found = await server.recordings.GetRecording(GetRecordingRequest(recording_id=ID), metadata=headers())
    assert found.recording.title == "Mới"


@pytest.mark.parametrize(
    ("paths", "fields", "field"),
    [
        (["title"], {"recording_id": ""}, "recording.recording_id"),
        (["title"], {"recording_id": "x", "title": "t"}, "recording.recording_id"),
        (["title"], {"title": ""}, "recording.title"),
        (["title"], {"title": "ă" * 201}, "recording.title"),
        ([], {"title": " "}, "recording.title"),
        (["language_code"], {"language_code": "VI"}, "recording.language_code"),
        (["labels"], {"labels": {"Key": ""}}, "recording.labels"),
        (["labels"], {"labels": {"key": "x" * 201}}, "recording.labels[key]"),
        (["source"], {"source": FILE}, "update_mask"),
        (["title", "object.key"], {"title": "t"}, "update_mask"),
        (["*"], {"title": "t"}, "update_mask"),
        (["labels.show"], {"labels": {"show": "x"}}, "update_mask"),
        (["x" * 100_000], {"title": "t"}, "update_mask"),
        (["title"] * 33, {"title": "t"}, "update_mask"),
    ],
)
async def test_a_bad_update_is_named(server: Served, paths: list[str], fields: dict[str, Any], field: str) -> None:
    made = await create(server, recording_id=ID)
    refused = await refusal(update(server, *paths, **fields))
    assert (refused.code, refused.reason, refused.field) == (
        grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", field
    )  # fmt: skip
    assert server.store.recordings_by_id[ID][1].content.title == made.title


async def test_a_deleted_recording_is_gone_and_announced(server: Served) -> None:
    made = await create_file(server, recording_id=ID)
    await delete(server, recording_id=ID.upper(), etag=made.etag)
    refused = await refusal(server.recordings.GetRecording(GetRecordingRequest(recording_id=ID), metadata=headers()))
    assert (refused.reason, refused.metadata) == ("RECORDING_NOT_FOUND", {"recording_id": ID, "deleted": "true"})
    kept = server.store.events[-1].event
    message = recording_events_pb2.RecordingDeleted.FromString(kept.payload)
    assert message.event_id == kept.event_id == str(uuid.uuid5(uuid.UUID(ID), "recording.deleted"))
    assert (kept.subject, kept.ordering_key) == ("recording.deleted", ID)
    assert (message.tenant, message.recording_id, message.object_key) == ("acme", ID, KEY)
    assert len(server.woken) == 2
    again = await refusal(delete(server))
    assert (again.code, again.reason) == (grpc.StatusCode.NOT_FOUND, "RECORDING_NOT_FOUND")


async def test_nothing_revives_a_deleted_recording(server: Served) -> None:
    await create_file(server, recording_id=ID)
    begin = CreateTranscriptRequest(recording_id=ID, model="m")
    transcript = (await server.transcripts.CreateTranscript(begin, metadata=headers())).transcript
    append = AppendSegmentsRequest(transcript_id=transcript.transcript_id, segments=[Segment(text="câu", end_ms=1)])
    await server.transcripts.AppendSegments(append, metadata=headers())
    await delete(server)
    late = [
        await refusal(server.transcripts.AppendSegments(append, metadata=headers())),
        await refusal(server.transcripts.CreateTranscript(begin, metadata=headers())),
        await refusal(create_file(server, recording_id=ID)),
    ]
    assert [(refused.code.name, refused.reason) for refused in late] == [
        ("NOT_FOUND", "TRANSCRIPT_NOT_FOUND"),
        ("NOT_FOUND", "RECORDING_NOT_FOUND"),
        ("ALREADY_EXISTS", "ALREADY_EXISTS"),
    ]
    assert not server.store.recordings_by_id
    assert not server.store.segments_by_id


@pytest.mark.parametrize("tenant", ["acme", "beta"])
async def test_only_what_is_there_and_the_tenants_is_changed_and_deleted(server: Served, tenant: str) -> None:
    if tenant == "beta":
        await create(server, "acme", recording_id=ID)
    for call in (update(server, "title", title="t", tenant=tenant), delete(server, tenant)):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "RECORDING_NOT_FOUND")
        assert refused.metadata == {"recording_id": ID}
    assert len(server.store.recordings_by_id) == (tenant == "beta")


@pytest.mark.parametrize("recording_id", ["", "x", f"{ID}\n"])
async def test_deleting_by_no_id_is_refused(server: Served, recording_id: str) -> None:
    refused = await refusal(delete(server, recording_id=recording_id))
    assert (refused.code, refused.field) == (grpc.StatusCode.INVALID_ARGUMENT, "recording_id")


async def found_objects(server: Served, *keys: str, tenant: str = "acme") -> list[str]:
    request = FindObjectsRequest(keys=keys)
    return list((await server.recordings.FindObjects(request, metadata=headers(tenant))).keys)


async def test_objects_are_in_use_while_a_recording_of_the_tenant_has_them(server: Served) -> None:
    await create_file(server, recording_id=ID)
    await create_file(server)
    assert await found_objects(server, "other", KEY, KEY) == [KEY]
    assert await found_objects(server, KEY, tenant="beta") == []
    await delete(server)
    assert await found_objects(server, *[f"k{number}" for number in range(999)], KEY) == [KEY]


@pytest.mark.parametrize(
    ("keys", "field"),
    [([], "keys"), (["k"] * 1001, "keys"), (["k", ""], "keys[1]"), (["x" * 501], "keys[0]"), (["\x00"], "keys[0]")],
)
async def test_a_bad_question_for_objects_is_named(server: Served, keys: list[str], field: str) -> None:
    refused = await refusal(found_objects(server, *keys))
    assert (refused.code, refused.reason, refused.field) == (
        grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", field
    )  # fmt: skip


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
    "UpdateRecording": (UpdateRecordingRequest(recording={"recording_id": ID, "title": "t"}), "recordings.write"),
    "DeleteRecording": (DeleteRecordingRequest(recording_id=ID), "recordings.write"),
    "FindObjects": (FindObjectsRequest(keys=["k"]), "recordings.read"),
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
