"""IngestionService over a real port: what is kept, what is refused, and what stays behind."""

import asyncio
import hashlib
import os
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from ai2text.events.v1 import recording_events_pb2
from ai2text.ingestion.v1 import ingestion_service_pb2
from ai2text.metadata.v1 import recording_service_pb2

from servers.common import events
from servers.common.errors import DependencyUnavailable, InvalidInput
from servers.ingestion import parts, sweeping
from servers.ingestion.departures import Departures
from servers.ingestion.files import audio_key, incoming_key, operation, recording_id, state_key, upload_id
from servers.ingestion.states import LEAST_PART_BYTES
from tests.fakes import media
from tests.fakes.object_store import MemoryObjects
from tests.rpc.ingestion_server import (
    AGE_S,
    IDLE_S,
    LIMIT_BYTES,
    PLACES,
    Served,
    UploadFile,
    announced,
    numbers,
    pieces,
    request_id,
    served,
    stream,
)
from tests.rpc.metadata_server import headers
from tests.rpc.refusals import Refusal, refusal

Code = grpc.StatusCode
Empty = ingestion_service_pb2.UploadRecordingRequest

CLIP = media.wav()


@pytest.fixture
def store() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
async def server(store: MemoryObjects, spool: Path) -> AsyncIterator[Served]:
    async with served(store, spool) as running:
        yield running
    assert os.listdir(spool) == []
    assert spooled(spool) == 0


def spooled(folder: Path) -> int:
    """How many nameless files this process still has open there."""
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    return sum(os.readlink(link).startswith(str(folder)) for link in links if os.path.lexists(link))


async def refused(server: Served, *messages: Any, tenant: str = "acme") -> Refusal:
    """What an upload of these messages is told."""
    return await refusal(server.uploads.UploadRecording(stream(*messages), metadata=headers(tenant)))


async def create(server: Served, file: UploadFile, tenant: str = "acme") -> ingestion_service_pb2.CreateUploadResponse:
    request = ingestion_service_pb2.CreateUploadRequest(file=file)
    return await server.uploads.CreateUpload(request, metadata=headers(tenant))


def completing(server: Served, name: str, tenant: str = "acme") -> Any:
    request = ingestion_service_pb2.CompleteUploadRequest(upload_id=name)
    return server.uploads.CompleteUpload(request, metadata=headers(tenant))


def send(store: MemoryObjects, plan: ingestion_service_pb2.CreateUploadResponse, content: bytes) -> None:
    """PUT what the plan asks for."""
    for part in plan.parts:
        multipart_id = part.url.partition("?")[2].partition("&")[0]
        store.send(multipart_id, part.part_number, content[part.offset_bytes :][: part.size_bytes])


async def test_a_file_becomes_a_recording_with_its_object_and_what_a_probe_found(
    server: Served, store: MemoryObjects
) -> None:
    file = announced(CLIP, language_code="vi", labels={"project": "atlas"})
    answer = await server.upload(CLIP, file)
    recording = answer.recording
    assert recording.recording_id == recording_id("acme", file.request_id)
    assert answer.operation == operation(recording.recording_id)
    assert (recording.title, recording.language_code, dict(recording.labels)) == (
        "Cuộc họp",
        "vi",
        {"project": "atlas"},
    )
    assert recording.object.key == audio_key("acme", hashlib.sha256(CLIP).digest())
    assert (recording.object.size_bytes, recording.object.crc32c) == (len(CLIP), file.crc32c)
    found = recording.media
    assert (found.container, found.codec, found.sample_rate_hz, found.channel_count, found.duration_ms) == (
        "wav",
        "pcm_s16le",
        16_000,
        1,
        1000,
    )
    assert store.contents == {recording.object.key: CLIP}


async def test_the_identifiers_are_those_that_the_other_servers_reckon_with() -> None:
    made = recording_id("acme", "7d3f1a6e-0000-4000-8000-000000000001")
    assert made == str(uuid.uuid5(uuid.NAMESPACE_URL, "ai2text:upload:acme:7d3f1a6e-0000-4000-8000-000000000001"))
    assert operation(made) == f"operations/{uuid.uuid5(uuid.UUID(made), 'transcription')}"


def told(server: Served) -> list[str]:
    """What others were told of the recordings, in order."""
    return [kept.event.subject for kept in server.metadata.events]


async def test_an_upload_that_is_repeated_answers_as_before_and_doubles_nothing(
    server: Served, store: MemoryObjects
) -> None:
    file = announced(CLIP)
    first = await server.upload(CLIP, file)
    assert await server.upload(CLIP, file) == first
    assert len(server.metadata.recordings_by_id) == 1
    assert told(server) == [events.RECORDING_UPLOADED, events.RECORDING_UPDATED]
    assert store.uploads == 1


async def test_many_uploads_of_one_request_at_once_make_one_recording(store: MemoryObjects, spool: Path) -> None:
    async with served(store, spool, places=16) as server:
        file = announced(CLIP)
        answers = await asyncio.gather(*(server.upload(CLIP, file) for _ in range(8)))
        assert len({answer.recording.recording_id for answer in answers}) == 1
        assert (len(store.contents), store.uploads) == (1, 1)
        assert told(server) == [events.RECORDING_UPLOADED, events.RECORDING_UPDATED]


async def test_the_same_bytes_under_another_id_share_one_object(server: Served, store: MemoryObjects) -> None:
    first = await server.upload(CLIP)
    second = await server.upload(CLIP)
    assert first.recording.recording_id != second.recording.recording_id
    assert first.recording.object == second.recording.object
    assert (store.uploads, len(store.contents)) == (1, 1)


async def test_the_same_bytes_of_another_tenant_are_another_object(server: Served, store: MemoryObjects) -> None:
    await server.upload(CLIP, tenant="acme")
    await server.upload(CLIP, tenant="other")
    assert [key.split("/")[1] for key in store.keys("audio/")] == ["acme", "other"]


@pytest.mark.parametrize("changed", [{"title": "Another"}, {"language_code": "en"}, {"labels": {"a": "b"}}])
async def test_the_same_request_with_another_description_is_refused_and_the_first_stays(
    server: Served, store: MemoryObjects, changed: dict[str, Any]
) -> None:
    file = announced(CLIP)
    await server.upload(CLIP, file)
    told = await refused(server, announced(CLIP, request_id=file.request_id, **changed), CLIP)
    assert (told.code, told.reason) == (Code.ALREADY_EXISTS, "ALREADY_EXISTS")
    assert len(store.contents) == 1


async def test_the_same_request_with_other_bytes_is_refused_and_leaves_no_object(
    server: Served, store: MemoryObjects
) -> None:
    file = announced(CLIP)
    await server.upload(CLIP, file)
    other = media.wav(seed=1)
    told = await refused(server, announced(other, request_id=file.request_id), other)
    assert told.reason == "ALREADY_EXISTS"
    assert list(store.contents.values()) == [CLIP]


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("file.request_id", {"request_id": ""}),
        ("file.request_id", {"request_id": "no uuid"}),
        ("file.title", {"title": ""}),
        ("file.title", {"title": " "}),
        ("file.title", {"title": "a" * 201}),
        ("file.title", {"title": "a\x00"}),
        ("file.language_code", {"language_code": "Vietnamese"}),
        ("file.labels", {"labels": {"Upper": "x"}}),
        ("file.labels", {"labels": {f"k{number}": "x" for number in range(33)}}),
        ("file.labels[a]", {"labels": {"a": "x" * 201}}),
        ("file.size_bytes", {"size_bytes": -1}),
        ("file.sha256", {"sha256": b"short"}),
    ],
)
async def test_a_malformed_field_is_named(
    server: Served, store: MemoryObjects, field: str, given: dict[str, Any]
) -> None:
    told = await refused(server, announced(CLIP, **given), CLIP)
    assert (told.code, told.reason, told.field) == (Code.INVALID_ARGUMENT, "FIELD_INVALID", field)
    in_parts = ingestion_service_pb2.CreateUploadRequest(file=announced(CLIP, **given))
    assert (await refusal(server.uploads.CreateUpload(in_parts, metadata=headers()))).field == field
    assert not store.contents
    assert not store.multiparts


@pytest.mark.parametrize("missing", ["size_bytes", "sha256"])
async def test_an_upload_in_parts_needs_size_and_digest(server: Served, missing: str) -> None:
    file = announced(CLIP)
    file.ClearField(missing)  # type: ignore[arg-type]
    told = await refusal(create(server, file))
    assert (told.reason, told.field) == ("FIELD_INVALID", f"file.{missing}")


async def test_bytes_before_the_file_are_refused(server: Served) -> None:
    told = await refused(server, CLIP)
    assert (told.code, told.reason) == (Code.INVALID_ARGUMENT, "CONFIG_OUT_OF_ORDER")


async def test_a_second_file_in_the_stream_is_refused(server: Served, store: MemoryObjects) -> None:
    file = announced(CLIP)
    assert (await refused(server, file, CLIP, file)).reason == "CONFIG_OUT_OF_ORDER"
    assert not store.contents


async def test_a_message_that_carries_nothing_is_refused(server: Served) -> None:
    told = await refused(server, announced(CLIP), Empty())
    assert (told.reason, told.field) == ("FIELD_INVALID", "payload")


async def test_a_stream_without_any_message_is_refused(server: Served) -> None:
    assert (await refused(server)).reason == "CONFIG_OUT_OF_ORDER"


async def test_an_empty_file_is_refused(server: Served) -> None:
    told = await refused(server, UploadFile(request_id=request_id(), title="x"), b"")
    assert (told.reason, told.field) == ("FIELD_INVALID", "chunk")


async def test_an_empty_piece_is_refused(server: Served) -> None:
    told = await refused(server, announced(CLIP), CLIP[:1000], b"")
    assert (told.reason, told.field) == ("FIELD_INVALID", "chunk")


async def test_a_file_that_is_announced_too_large_is_refused_at_once(server: Served) -> None:
    told = await refused(server, announced(CLIP, size_bytes=LIMIT_BYTES + 1))
    assert (told.reason, told.metadata) == ("AUDIO_TOO_LARGE", {"limit_bytes": str(LIMIT_BYTES)})


async def test_a_file_that_becomes_too_large_is_refused(server: Served, store: MemoryObjects) -> None:
    file = UploadFile(request_id=request_id(), title="x")
    told = await refused(server, file, *[bytes(1 << 20)] * 21)
    assert (told.reason, told.metadata) == ("AUDIO_TOO_LARGE", {"limit_bytes": str(LIMIT_BYTES)})
    assert not store.contents


async def test_a_piece_above_a_mebibyte_is_refused(server: Served) -> None:
    told = await refused(server, UploadFile(request_id=request_id(), title="x"), bytes((1 << 20) + 1))
    assert told.metadata == {"limit_bytes": str(1 << 20)}


@pytest.mark.parametrize(
    ("checksum", "given"),
    [
        ("size", {"size_bytes": len(CLIP) + 1}),
        ("size", {"size_bytes": len(CLIP) - 1}),
        ("sha256", {"sha256": bytes(32)}),
        ("crc32c", {"crc32c": 1}),
    ],
)
async def test_a_file_that_is_not_what_was_announced_is_data_loss_and_leaves_nothing(
    server: Served, store: MemoryObjects, checksum: str, given: dict[str, Any]
) -> None:
    told = await refused(server, announced(CLIP, **given), *pieces(CLIP, 1000))
    assert (told.code, told.reason) == (Code.DATA_LOSS, "CHECKSUM_MISMATCH")
    assert told.metadata["checksum"] == checksum
    assert told.metadata["expected"] != told.metadata["actual"]
    assert not store.contents
    assert not server.metadata.recordings_by_id


async def test_a_file_of_which_nothing_is_announced_is_taken_as_it_comes(server: Served) -> None:
    answer = await server.upload(CLIP, UploadFile(request_id=request_id(), title="x"))
    assert answer.recording.object.sha256 == hashlib.sha256(CLIP).digest()


async def test_what_the_store_has_is_compared_and_a_difference_leaves_nothing_but_a_retry(
    server: Served, store: MemoryObjects
) -> None:
    store.damaging = True
    told = await refused(server, announced(CLIP), CLIP)
    assert (told.code, told.metadata, bool(told.retry_s)) == (Code.UNAVAILABLE, {"dependency": "objects"}, True)
    assert not store.contents


async def test_an_upload_in_parts_that_the_store_damages_is_kept_and_completed_later(
    server: Served, store: MemoryObjects
) -> None:
    plan = await create(server, announced(CLIP))
    send(store, plan, CLIP)
    store.damaging = True
    assert (await refusal(completing(server, plan.upload_id))).code == Code.UNAVAILABLE
    assert not store.keys("audio/")
    store.damaging = False
    assert (await completing(server, plan.upload_id)).recording.object.size_bytes == len(CLIP)


async def test_a_whole_that_the_store_brings_too_slowly_is_kept_and_completed_later(
    server: Served, store: MemoryObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "READ_S", 0.05)
    plan = await create(server, announced(CLIP))
    send(store, plan, CLIP)
    store.stuck = True
    told = await refusal(completing(server, plan.upload_id))
    assert (told.code, told.metadata, bool(told.retry_s)) == (Code.UNAVAILABLE, {"dependency": "objects"}, True)
    store.stuck = False
    assert (await completing(server, plan.upload_id)).recording.object.size_bytes == len(CLIP)


async def test_what_is_no_audio_is_refused_in_words(server: Served, store: MemoryObjects) -> None:
    told = await refused(server, announced(b"text" * 1000), b"text" * 1000)
    assert (told.code, told.reason) == (Code.INVALID_ARGUMENT, "AUDIO_UNDECODABLE")
    assert "neither audio nor video" in told.message
    assert not store.contents


async def test_a_film_without_audio_is_refused_in_words(server: Served) -> None:
    film = media.silent_film()
    told = await refused(server, announced(film), film)
    assert (told.reason, told.message) == ("AUDIO_UNDECODABLE", "the file has no audio in it, only video")


async def test_audio_beyond_the_limit_is_refused(server: Served, store: MemoryObjects) -> None:
    long = media.wav(61.0, rate=8000)
    told = await refused(server, announced(long), *pieces(long))
    assert (told.reason, told.metadata) == ("AUDIO_TOO_LARGE", {"limit_seconds": "60"})
    assert not store.contents


@pytest.mark.parametrize("tenant", ["a/b", "..", "a b", "x" * 129])
async def test_a_tenant_whose_name_is_no_folder_is_refused(server: Served, tenant: str) -> None:
    told = await refused(server, announced(CLIP), CLIP, tenant=tenant)
    assert (told.code, told.reason) == (Code.UNAUTHENTICATED, "IDENTITY_MISSING")


async def test_every_method_of_an_upload_needs_the_scope_to_write(server: Served) -> None:
    reader = headers(scopes=frozenset({"recordings.read"}))
    calls = [
        server.uploads.UploadRecording(metadata=reader),  # sends nothing: grpc.aio loses a status while it sends
        server.uploads.CreateUpload(ingestion_service_pb2.CreateUploadRequest(file=announced(CLIP)), metadata=reader),
        server.uploads.CompleteUpload(
            ingestion_service_pb2.CompleteUploadRequest(upload_id=request_id()), metadata=reader
        ),
    ]
    for call in calls:
        told = await refusal(call)
        assert (told.code, told.metadata) == (Code.PERMISSION_DENIED, {"scope": "recordings.write"})


async def test_a_call_without_identity_is_refused(server: Served) -> None:
    told = await refusal(server.uploads.UploadRecording())
    assert told.reason == "IDENTITY_MISSING"


async def test_a_client_that_vanishes_leaves_nothing(server: Served, store: MemoryObjects, spool: Path) -> None:
    call = server.uploads.UploadRecording(metadata=headers())
    await call.write(ingestion_service_pb2.UploadRecordingRequest(file=announced(CLIP)))
    await call.write(ingestion_service_pb2.UploadRecordingRequest(chunk=CLIP[:1000]))
    while not spooled(spool):
        await asyncio.sleep(0.01)
    call.cancel()
    while spooled(spool):
        await asyncio.sleep(0.01)
    assert not store.contents
    for _ in range(PLACES + 1):  # its place is free again
        await server.upload(CLIP)


async def test_a_client_that_sends_nothing_is_given_up(server: Served) -> None:
    call = server.uploads.UploadRecording(metadata=headers())
    await call.write(ingestion_service_pb2.UploadRecordingRequest(file=announced(CLIP)))
    told = await refusal(call)
    assert (told.code, told.reason, told.metadata) == (
        Code.DEADLINE_EXCEEDED,
        "STREAM_IDLE",
        {"limit_seconds": f"{IDLE_S:g}"},
    )


async def test_more_uploads_than_there_are_places_are_refused_with_a_time_to_come_back(
    server: Served, spool: Path
) -> None:
    waiting = [server.uploads.UploadRecording(metadata=headers(f"t{number % 2}")) for number in range(PLACES)]
    for call in waiting:
        await call.write(ingestion_service_pb2.UploadRecordingRequest(file=announced(CLIP)))
    while spooled(spool) < PLACES:
        await asyncio.sleep(0.01)
    told = await refused(server, announced(CLIP), CLIP)
    assert (told.code, told.reason) == (Code.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert told.retry_s
    for call in waiting:
        call.cancel()


async def test_a_file_for_which_there_is_no_room_is_refused_with_a_time_to_come_back(server: Served) -> None:
    server.room[0] = 1 << 20
    told = await refused(server, announced(CLIP), CLIP)
    assert (told.reason, bool(told.retry_s)) == ("OVERLOADED", True)


async def test_one_tenant_that_takes_its_half_of_the_places_keeps_no_other_out(server: Served, spool: Path) -> None:
    waiting = [server.uploads.UploadRecording(metadata=headers()) for _ in range(PLACES // 2)]
    for call in waiting:
        await call.write(ingestion_service_pb2.UploadRecordingRequest(file=announced(CLIP)))
    while spooled(spool) < PLACES // 2:
        await asyncio.sleep(0.01)
    told = await refused(server, announced(CLIP), CLIP)
    assert (told.reason, bool(told.retry_s)) == ("OVERLOADED", True)
    await server.upload(CLIP, tenant="other")
    for call in waiting:
        call.cancel()


async def test_a_file_of_unknown_size_is_refused_when_the_disk_fills_while_it_grows(
    server: Served, store: MemoryObjects
) -> None:
    async def growing() -> AsyncIterator[Any]:
        server.room[0] = 18 << 20  # enough for one step, and for the reserve
        chunks = [*[bytes(1 << 20)] * 16, bytes(1)]
        async for message in stream(UploadFile(request_id=request_id(), title="x"), *chunks):
            if len(message.chunk) == 1:  # not before: grpc.aio loses the status while it sends
                server.room[0] = 2 << 20
            yield message
        await asyncio.Event().wait()

    told = await refusal(server.uploads.UploadRecording(growing(), metadata=headers()))
    assert (told.code, told.reason, bool(told.retry_s)) == (Code.RESOURCE_EXHAUSTED, "OVERLOADED", True)
    assert not store.contents


async def test_while_the_store_is_away_the_client_is_told_when_to_come_back(
    server: Served, store: MemoryObjects
) -> None:
    store.down = True
    file = announced(CLIP)
    told = await refused(server, file, CLIP)
    assert (told.code, told.metadata, bool(told.retry_s)) == (Code.UNAVAILABLE, {"dependency": "objects"}, True)
    assert (await refusal(create(server, file))).metadata == {"dependency": "objects"}
    store.down = False
    assert (await server.upload(CLIP, file)).recording.recording_id == recording_id("acme", file.request_id)


async def test_while_metadata_is_away_the_client_is_told_when_to_come_back_and_nothing_is_sent_twice(
    server: Served, store: MemoryObjects
) -> None:
    server.metadata.down = True
    file = announced(CLIP)
    told = await refused(server, file, CLIP)
    assert (told.code, told.metadata, bool(told.retry_s)) == (Code.UNAVAILABLE, {"dependency": "metadata"}, True)
    server.metadata.down = False
    await server.upload(CLIP, file)
    assert (store.uploads, len(server.metadata.recordings_by_id)) == (1, 1)


async def test_an_object_that_another_server_removed_before_it_was_registered_is_stored_again(
    server: Served, store: MemoryObjects
) -> None:
    first = await server.upload(CLIP)
    key = first.recording.object.key
    create_recording = server.metadata.add_recording

    async def removed_meanwhile(*arguments: Any) -> Any:
        store.contents.pop(key)
        store.infos.pop(key)
        return await create_recording(*arguments)

    server.metadata.add_recording = removed_meanwhile  # type: ignore[method-assign]
    await server.upload(CLIP)
    assert store.contents == {key: CLIP}


async def test_a_file_in_parts_is_looked_at_only_when_it_is_whole(server: Served, store: MemoryObjects) -> None:
    content = media.wav(300.0)
    file = announced(content)
    plan = await create(server, file)
    assert numbers(plan.parts) == [1, 2]
    assert plan.part_count == 2
    assert [part.size_bytes for part in plan.parts] == [LEAST_PART_BYTES, len(content) - LEAST_PART_BYTES]
    send(store, plan, content)
    told = await refusal(completing(server, plan.upload_id))
    assert told.metadata == {"limit_seconds": "60"}
    assert not store.contents
    assert not store.multiparts


def film(name: int = 0) -> bytes:
    """A wav of more than one part, but not too long."""
    return media.wav(59.0, seed=name, rate=96_000)


async def uploaded_in_parts(server: Served, store: MemoryObjects, content: bytes, file: UploadFile) -> Any:
    plan = await create(server, file)
    send(store, plan, content)
    return await completing(server, plan.upload_id)


async def test_an_upload_in_parts_is_completed_and_leaves_only_its_file_and_its_state(
    server: Served, store: MemoryObjects
) -> None:
    content = film()
    file = announced(content)
    answer = await uploaded_in_parts(server, store, content, file)
    assert answer.recording.recording_id == recording_id("acme", file.request_id)
    assert answer.operation == operation(answer.recording.recording_id)
    name = upload_id("acme", file.request_id)
    assert store.keys() == sorted([answer.recording.object.key, state_key("acme", name)])
    assert await completing(server, name) == answer
    assert numbers((await create(server, file)).parts) == []
    assert await server.upload(content, file) == ingestion_service_pb2.UploadRecordingResponse(
        recording=answer.recording, operation=answer.operation
    )
    assert told(server) == [events.RECORDING_UPLOADED, events.RECORDING_UPDATED]


async def test_an_upload_goes_on_with_the_parts_that_are_missing(server: Served, store: MemoryObjects) -> None:
    content = film()
    file = announced(content)
    plan = await create(server, file)
    multipart_id = plan.parts[0].url.partition("?")[2].partition("&")[0]
    store.send(multipart_id, 2, content[LEAST_PART_BYTES:])
    told = await refusal(completing(server, plan.upload_id))
    assert (told.code, told.reason) == (Code.FAILED_PRECONDITION, "UPLOAD_INCOMPLETE")
    assert told.metadata == {"missing_parts": "1"}
    again = await create(server, file)
    assert (again.upload_id, numbers(again.parts)) == (plan.upload_id, [1])
    store.send(multipart_id, 1, content[: LEAST_PART_BYTES - 1])  # not whole
    assert (await refusal(completing(server, plan.upload_id))).metadata == {"missing_parts": "1"}
    send(store, again, content)
    assert (await completing(server, plan.upload_id)).recording.object.size_bytes == len(content)


async def test_the_error_names_a_hundred_missing_parts_at_most(server: Served, store: MemoryObjects) -> None:
    file = announced(CLIP, size_bytes=LIMIT_BYTES)
    plan = await create(server, file)
    told = await refusal(completing(server, plan.upload_id))
    assert told.metadata == {"missing_parts": "1,2,3"}


async def test_an_upload_begun_by_two_servers_at_once_is_one_upload(server: Served, store: MemoryObjects) -> None:
    file = announced(CLIP)
    name = upload_id("acme", file.request_id)
    await create(server, file)
    state = store.contents.pop(state_key("acme", name))
    store.after["create_multipart"] = lambda: store.put(state_key("acme", name), state)
    plan = await create(server, file)
    assert "multipart-0" in plan.parts[0].url
    assert list(store.multiparts) == ["multipart-0"]


async def test_parts_that_the_store_has_forgotten_are_asked_for_again(server: Served, store: MemoryObjects) -> None:
    file = announced(CLIP)
    await create(server, file)
    store.multiparts.clear()
    send(store, await create(server, file), CLIP)
    assert (await completing(server, upload_id("acme", file.request_id))).recording.media.duration_ms == 1000


async def test_an_upload_whose_server_died_after_joining_the_parts_is_completed_by_another(
    server: Served, store: MemoryObjects
) -> None:
    file = announced(CLIP)
    plan = await create(server, file)
    send(store, plan, CLIP)
    server.metadata.down = True
    assert (await refusal(completing(server, plan.upload_id))).code == Code.UNAVAILABLE
    assert incoming_key("acme", plan.upload_id) in store.contents
    server.metadata.down = False
    assert numbers((await create(server, file)).parts) == []
    await completing(server, plan.upload_id)
    assert incoming_key("acme", plan.upload_id) not in store.contents


@pytest.mark.parametrize("moment", ["before", "complete_multipart"])
async def test_an_upload_that_another_server_completes_meanwhile_answers_the_same(
    server: Served, store: MemoryObjects, moment: str
) -> None:
    file = announced(CLIP)
    plan = await create(server, file)
    key = state_key("acme", plan.upload_id)
    begun = store.contents[key]
    send(store, plan, CLIP)
    multiparts = dict(store.multiparts)
    answer = await completing(server, plan.upload_id)
    done = store.contents[key]
    store.put(key, begun)  # as the slower server has read it

    def completed() -> None:
        store.contents.pop(incoming_key("acme", plan.upload_id), None)
        store.infos.pop(incoming_key("acme", plan.upload_id), None)
        store.put(key, done)

    if moment == "before":
        store.after["parts"] = completed
    else:
        store.multiparts |= multiparts
        store.after[moment] = completed
    assert await completing(server, plan.upload_id) == answer


async def test_an_upload_that_is_completed_while_somebody_goes_on_with_it_stays_completed(
    server: Served, store: MemoryObjects
) -> None:
    file = announced(CLIP)
    plan = await create(server, file)
    key = state_key("acme", plan.upload_id)
    begun = store.contents[key]
    send(store, plan, CLIP)
    answer = await completing(server, plan.upload_id)
    done = store.contents[key]
    store.put(key, begun)  # as the slower server has read it
    store.after["parts"] = lambda: store.put(key, done)
    assert (await create(server, file)).parts == []
    assert (store.contents[key], store.multiparts) == (done, {})
    assert await completing(server, plan.upload_id) == answer


async def test_an_upload_that_is_swept_while_it_is_completed_is_not_found(server: Served, store: MemoryObjects) -> None:
    plan = await create(server, announced(CLIP))
    send(store, plan, CLIP)

    def swept() -> None:
        store.contents.clear()
        store.infos.clear()

    store.after["complete_multipart"] = swept
    assert (await refusal(completing(server, plan.upload_id))).reason == "UPLOAD_NOT_FOUND"


async def test_parts_that_are_not_what_was_announced_are_data_loss_and_leave_nothing(
    server: Served, store: MemoryObjects
) -> None:
    plan = await create(server, announced(CLIP))
    send(store, plan, media.wav(seed=5))
    told = await refusal(completing(server, plan.upload_id))
    assert (told.code, told.metadata["checksum"]) == (Code.DATA_LOSS, "sha256")
    assert not store.contents
    assert not store.multiparts
    assert (await refusal(completing(server, plan.upload_id))).reason == "UPLOAD_NOT_FOUND"


async def test_an_upload_of_another_tenant_is_not_found(server: Served, store: MemoryObjects) -> None:
    plan = await create(server, announced(CLIP))
    send(store, plan, CLIP)
    told = await refusal(completing(server, plan.upload_id, tenant="other"))
    assert (told.code, told.reason) == (Code.NOT_FOUND, "UPLOAD_NOT_FOUND")
    assert told.metadata == {"upload_id": plan.upload_id}
    await completing(server, plan.upload_id)


@pytest.mark.parametrize("name", ["", "no uuid", "../../audio"])
async def test_an_upload_id_that_is_none_is_refused(server: Served, name: str) -> None:
    told = await refusal(completing(server, name))
    assert (told.reason, told.field) == ("FIELD_INVALID", "upload_id")


async def test_an_announced_upload_is_not_changed_by_another_announcement(server: Served) -> None:
    file = announced(CLIP)
    await create(server, file)
    told = await refusal(create(server, announced(CLIP, request_id=file.request_id, title="Another")))
    assert told.reason == "ALREADY_EXISTS"


async def test_a_completed_upload_whose_recording_was_deleted_is_not_registered_again(
    server: Served, store: MemoryObjects
) -> None:
    file = announced(CLIP)
    plan = await create(server, file)
    send(store, plan, CLIP)
    answer = await completing(server, plan.upload_id)
    await delete(server, answer.recording.recording_id)
    for _ in range(2):  # said at once, without a second upload
        assert (await create(server, file)).parts == []
        assert (await refusal(completing(server, plan.upload_id))).reason == "ALREADY_EXISTS"
    assert list(store.contents) == [state_key("acme", plan.upload_id)]


async def test_a_completed_upload_whose_file_alone_is_gone_is_sent_again(server: Served, store: MemoryObjects) -> None:
    file = announced(CLIP)
    plan = await create(server, file)
    send(store, plan, CLIP)
    answer = await completing(server, plan.upload_id)
    await store.delete(answer.recording.object.key)
    assert (await refusal(completing(server, plan.upload_id))).reason == "UPLOAD_NOT_FOUND"
    again = await create(server, file)
    send(store, again, CLIP)
    assert (await completing(server, again.upload_id)).recording == answer.recording
    assert answer.recording.object.key in store.contents


async def delete(server: Served, name: str) -> None:
    """Delete a recording, and have its event handled twice."""
    key = server.metadata.recordings_by_id[name][1].content.file
    assert key is not None
    await server.recordings.DeleteRecording(
        recording_service_pb2.DeleteRecordingRequest(recording_id=name), metadata=headers()
    )
    event = recording_events_pb2.RecordingDeleted(tenant="acme", recording_id=name, object_key=key.object.key)
    await Departures(server.deposits).handle(event)
    await Departures(server.deposits).handle(event)


async def test_a_file_goes_with_the_last_recording_that_has_it(server: Served, store: MemoryObjects) -> None:
    first, second = await server.upload(CLIP), await server.upload(CLIP)
    await delete(server, first.recording.recording_id)
    assert store.contents == {second.recording.object.key: CLIP}
    await delete(server, second.recording.recording_id)
    assert not store.contents


async def test_a_deletion_waits_while_metadata_cannot_say_who_has_the_file(
    server: Served, store: MemoryObjects
) -> None:
    answer = await server.upload(CLIP)
    server.metadata.down = True
    event = recording_events_pb2.RecordingDeleted(tenant="acme", object_key=answer.recording.object.key)
    with pytest.raises(DependencyUnavailable):
        await Departures(server.deposits).handle(event)
    assert store.contents


async def test_a_deletion_that_names_a_file_of_another_tenant_is_poison(server: Served, store: MemoryObjects) -> None:
    answer = await server.upload(CLIP)
    event = recording_events_pb2.RecordingDeleted(tenant="other", object_key=answer.recording.object.key)
    with pytest.raises(InvalidInput):
        await Departures(server.deposits).handle(event)
    assert store.contents


async def test_the_deletion_of_a_live_session_touches_no_file(server: Served) -> None:
    await Departures(server.deposits).handle(recording_events_pb2.RecordingDeleted(tenant="acme", recording_id="r"))


async def test_the_sweep_removes_old_files_that_no_recording_has_and_no_others(
    server: Served, store: MemoryObjects
) -> None:
    kept = (await server.upload(CLIP)).recording.object.key
    store.age(kept, AGE_S + 10)
    store.put("audio/acme/aa", b"orphan", AGE_S + 10)
    store.put("audio/other/bb", b"orphan", AGE_S + 10)
    store.put("audio/acme/cc", b"young", AGE_S - 10)
    assert await server.sweep.sweep() == {"audio": 2, "upload": 0, "incoming": 0}
    assert store.keys() == sorted([kept, "audio/acme/cc"])


@pytest.mark.parametrize(
    ("files", "orphans", "removed"), [(0, sweeping.FEW, sweeping.FEW), (2, 11, 0), (12, 12, 12), (12, 13, 0)]
)
async def test_the_sweep_does_not_believe_that_most_files_have_no_recording(
    server: Served, store: MemoryObjects, files: int, orphans: int, removed: int
) -> None:
    for seed in range(files):
        store.age((await server.upload(media.wav(0.1, seed=seed))).recording.object.key, AGE_S + 10)
    for number in range(orphans):
        store.put(f"audio/acme/{number}", b"orphan", AGE_S + 10)
    assert (await server.sweep.sweep())["audio"] == removed
    assert len(store.keys("audio/")) == files + orphans - removed


async def test_the_sweep_gives_up_old_uploads_and_forgets_completed_ones(server: Served, store: MemoryObjects) -> None:
    done, old, young = announced(CLIP), announced(CLIP), announced(CLIP)
    answer = await uploaded_in_parts(server, store, CLIP, done)
    send(store, await create(server, old), CLIP)
    plan = await create(server, young)
    for file in (done, old):
        store.age(state_key("acme", upload_id("acme", file.request_id)), AGE_S + 10)
    store.put("incoming/acme/stray", b"parts of nothing", AGE_S + 10)
    assert await server.sweep.sweep() == {"audio": 0, "upload": 2, "incoming": 1}
    assert store.keys() == sorted([answer.recording.object.key, state_key("acme", plan.upload_id)])
    assert len(store.multiparts) == 1
    assert (await refusal(completing(server, upload_id("acme", old.request_id)))).reason == "UPLOAD_NOT_FOUND"


async def test_a_file_that_comes_again_when_it_is_old_is_young_to_the_sweep(
    server: Served, store: MemoryObjects
) -> None:
    key = audio_key("acme", hashlib.sha256(CLIP).digest())
    store.put(key, CLIP, AGE_S * 2)
    await server.upload(CLIP)
    assert store.uploads == 1
    assert await server.sweep.sweep() == {"audio": 0, "upload": 0, "incoming": 0}
    there = await store.head(key)
    assert there is not None
    assert (datetime.now(UTC) - there.modified).total_seconds() < 60


async def test_the_sweep_asks_nothing_of_a_metadata_server_that_is_away(server: Served, store: MemoryObjects) -> None:
    store.put("audio/acme/aa", b"orphan", AGE_S + 10)
    server.metadata.down = True
    assert (await server.sweep.sweep()).total() == 0
    assert store.keys() == ["audio/acme/aa"]


async def test_the_sweep_goes_on_after_a_bad_state_and_a_failing_tenant(
    server: Served, store: MemoryObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("uploads/acme/bad.json", b"{", AGE_S + 10)
    file = announced(CLIP)
    plan = await create(server, file)
    store.age(state_key("acme", plan.upload_id), AGE_S + 10)
    store.put("audio/acme/aa", b"orphan", AGE_S + 10)
    for number in range(3):
        store.put(f"audio/other/{number}", b"orphan", AGE_S + 10)
    used, asked = server.registry.used, []

    async def failing(tenant: str, keys: list[str]) -> set[str]:
        if tenant == "acme":
            raise RuntimeError("something is wrong with this tenant")
        asked.append(len(keys))
        return await used(tenant, keys)

    monkeypatch.setattr(server.registry, "used", failing)
    monkeypatch.setattr(sweeping, "AT_ONCE", 2)
    assert await server.sweep.sweep() == {"audio": 3, "upload": 1, "incoming": 0}
    assert set(asked) == {1, 2}
    assert store.keys() == ["audio/acme/aa", "uploads/acme/bad.json"]
