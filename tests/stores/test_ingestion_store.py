"""The ingestion server over the real SeaweedFS."""

import asyncio
import io
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from ai2text.ingestion.v1 import ingestion_service_pb2
from ai2text.metadata.v1 import recording_service_pb2

from servers.common import objects
from servers.common.objects import ObjectStore
from servers.ingestion.files import state_key
from servers.ingestion.sweeping import Sweep
from tests.fakes import media
from tests.rpc import ingestion_server
from tests.rpc.ingestion_server import Served, announced, numbers
from tests.rpc.metadata_server import headers
from tests.rpc.refusals import refusal
from tests.stores.object_server import ObjectServer, failing_line

CLIP = media.wav()
FILM = media.wav(59.0, rate=96_000)
"""Of two parts."""


@dataclass
class Running:
    """The server, and its store."""

    server: Served
    store: ObjectStore

    async def keys(self, prefix: str = "") -> list[str]:
        """What the store has."""
        return [entry.key async for entry in self.store.entries(prefix)]

    async def delete(self, recording_id: str) -> None:
        """Delete a recording."""
        request = recording_service_pb2.DeleteRecordingRequest(recording_id=recording_id)
        await self.server.recordings.DeleteRecording(request, metadata=headers())

    async def create(self, file: ingestion_server.UploadFile) -> ingestion_service_pb2.CreateUploadResponse:
        """Begin an upload, or go on."""
        request = ingestion_service_pb2.CreateUploadRequest(file=file)
        return await self.server.uploads.CreateUpload(request, metadata=headers())

    async def complete(self, upload_id: str) -> ingestion_service_pb2.CompleteUploadResponse:
        """End an upload."""
        request = ingestion_service_pb2.CompleteUploadRequest(upload_id=upload_id)
        return await self.server.uploads.CompleteUpload(request, metadata=headers())


@pytest.fixture
def bucket() -> str:
    return f"b-{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def running(objects_server: ObjectServer, bucket: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with (
        objects.connected(objects_server.address(bucket)) as store,
        ingestion_server.served(store, tmp_path) as server,
    ):
        yield Running(server, store)


async def send(part: ingestion_service_pb2.UploadPart, content: bytes) -> int:
    """PUT one part; the HTTP status."""
    body = io.BytesIO(content[part.offset_bytes :][: part.size_bytes])
    async with aiohttp.ClientSession() as http, http.put(part.url, data=body) as answer:
        return answer.status


async def test_the_same_bytes_are_one_object_that_goes_with_the_last_recording(running: Running) -> None:
    first, second = await asyncio.gather(running.server.upload(CLIP), running.server.upload(CLIP))
    key = first.recording.object.key
    assert await running.keys() == [key]
    info = await running.store.head(key)
    assert info is not None
    assert (info.crc32c, info.size_bytes) == (first.recording.object.crc32c, len(CLIP))
    await running.delete(first.recording.recording_id)
    assert not await running.server.deposits.release("acme", key)
    await running.delete(second.recording.recording_id)
    assert await running.server.deposits.release("acme", key)
    assert await running.keys() == []


async def test_an_upload_in_parts_breaks_off_goes_on_and_is_completed(running: Running) -> None:
    file = announced(FILM)
    plan = await running.create(file)
    assert await send(plan.parts[1], FILM) == 200
    again = await running.create(file)
    assert numbers(again.parts) == [1]
    assert await send(again.parts[0], FILM) == 200
    assert numbers((await running.create(file)).parts) == []
    answer = await running.complete(plan.upload_id)
    assert await running.keys() == [answer.recording.object.key, state_key("acme", plan.upload_id)]
    assert await running.complete(plan.upload_id) == answer


async def test_parts_of_other_bytes_are_data_loss_and_leave_nothing(running: Running) -> None:
    plan = await running.create(announced(FILM))
    for part in plan.parts:
        await send(part, bytes(len(FILM)))
    told = await refusal(running.complete(plan.upload_id))
    assert (told.reason, told.metadata["checksum"]) == ("CHECKSUM_MISMATCH", "sha256")
    assert await running.keys() == []
    assert await running.store.unfinished("incoming/") == []


async def test_the_sweep_finds_orphans_in_the_store(running: Running) -> None:
    kept = (await running.server.upload(CLIP)).recording.object.key
    await running.store.write("audio/acme/orphan", b"x")
    await running.store.write("incoming/acme/orphan", b"x")
    await running.create(announced(FILM))
    server = running.server
    assert (await server.sweep.sweep()).total() == 0
    await until_older(running, kept)
    impatient = Sweep(running.store, server.registry, server.deposits, server.claims, age_s=0.0, interval_s=1.0)
    assert await impatient.sweep() == {"audio": 1, "incoming": 1, "upload": 1}
    assert await running.keys() == [kept]
    assert await running.store.unfinished("incoming/") == []


async def until_older(running: Running, key: str) -> None:
    """The store says times in whole seconds."""
    info = await running.store.head(key)
    assert info is not None
    while (datetime.now(UTC) - info.modified).total_seconds() < 1.2:
        await asyncio.sleep(0.1)


async def test_uploads_succeed_while_a_twentieth_of_the_store_s_calls_fails(
    objects_server: ObjectServer, bucket: str, tmp_path: Path
) -> None:
    async with (
        failing_line(objects_server.endpoint, 0.05, seed=3) as line,
        objects.connected(objects_server.address(bucket, line.endpoint)) as store,
        ingestion_server.served(store, tmp_path) as server,
    ):
        for seed in range(30):
            await server.upload(media.wav(0.2, seed=seed))
        film = announced(FILM)
        running = Running(server, store)
        plan = await running.create(film)
        for part in plan.parts:
            assert await send(part, FILM) == 200
        await running.complete(plan.upload_id)
        assert line.failures >= 5
        assert len(await running.keys("audio/")) == len(server.metadata.recordings_by_id) == 31


async def test_an_upload_that_met_a_store_that_was_away_succeeds_when_it_is_repeated(
    running: Running, objects_server: ObjectServer
) -> None:
    file = announced(CLIP)
    objects_server.stop()
    try:
        told = await refusal(running.server.upload(CLIP, file))
    finally:
        objects_server.start()
    assert (told.metadata, bool(told.retry_s)) == ({"dependency": "objects"}, True)
    answer = await running.server.upload(CLIP, file)
    assert await running.keys() == [answer.recording.object.key]
