"""CreateDownload over a real port: what the address is of, and every way to be refused."""

import hashlib
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from ai2text.ingestion.v1 import ingestion_service_pb2
from ai2text.metadata.v1 import recording_pb2, recording_service_pb2

from servers.ingestion.files import audio_key
from tests.fakes import media
from tests.fakes.object_store import MemoryObjects
from tests.rpc.ingestion_server import DOWNLOAD_EXPIRY_S, Served, announced, served
from tests.rpc.metadata_server import headers
from tests.rpc.refusals import refusal

Code = grpc.StatusCode
Response = ingestion_service_pb2.CreateDownloadResponse

CLIP = media.wav()
READ = frozenset({"recordings.read"})


@pytest.fixture
def store() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
async def server(store: MemoryObjects, tmp_path: Path) -> AsyncIterator[Served]:
    async with served(store, tmp_path) as running:
        yield running


def download(server: Served, recording_id: str, tenant: str = "acme", scopes: frozenset[str] = READ) -> Any:
    request = ingestion_service_pb2.CreateDownloadRequest(recording_id=recording_id)
    return server.uploads.CreateDownload(request, metadata=headers(tenant, scopes))


async def uploaded(server: Served, content: bytes = CLIP, **given: Any) -> str:
    """The recording that becomes of it."""
    return (await server.upload(content, announced(content, **given))).recording.recording_id


async def spoken(server: Served) -> str:
    """A recording of a live session."""
    request = recording_service_pb2.CreateRecordingRequest(title="Live", source=recording_pb2.RECORDING_SOURCE_LIVE)
    return (await server.recordings.CreateRecording(request, metadata=headers())).recording.recording_id


async def test_who_may_read_gets_the_address_of_the_file_and_what_it_is(server: Served) -> None:
    recording_id = await uploaded(server)
    before = time.time()
    answer: Response = await download(server, recording_id)
    sha256 = hashlib.sha256(CLIP).digest()
    assert answer.url == (
        f"memory:{audio_key('acme', sha256)}?audio/wav&"
        "inline; filename=\"Cu_c h_p.wav\"; filename*=UTF-8''Cu%E1%BB%99c%20h%E1%BB%8Dp.wav"
        f"&{DOWNLOAD_EXPIRY_S}"
    )
    assert (answer.content_type, answer.file_name) == ("audio/wav", "Cuộc họp.wav")
    assert (answer.size_bytes, answer.sha256) == (len(CLIP), sha256)
    assert before - 1 < answer.expire_time.seconds - DOWNLOAD_EXPIRY_S <= time.time()


async def test_an_id_in_capitals_is_the_same_recording(server: Served) -> None:
    recording_id = await uploaded(server)
    assert (await download(server, recording_id.upper())).file_name == "Cuộc họp.wav"


@pytest.mark.parametrize("recording_id", ["", "x", "../acme", f"{uuid.UUID(int=7)}/x"])
async def test_what_is_no_id_is_refused(server: Served, recording_id: str) -> None:
    told = await refusal(download(server, recording_id))
    assert (told.code, told.reason, told.field) == (Code.INVALID_ARGUMENT, "FIELD_INVALID", "recording_id")


async def test_a_recording_that_is_not_there_is_not_found(server: Served) -> None:
    nobody = str(uuid.uuid4())
    told = await refusal(download(server, nobody))
    assert (told.code, told.reason) == (Code.NOT_FOUND, "RECORDING_NOT_FOUND")
    assert told.metadata == {"recording_id": nobody}


async def test_the_recording_of_another_tenant_is_not_found(server: Served) -> None:
    recording_id = await uploaded(server)
    told = await refusal(download(server, recording_id, tenant="other"))
    assert (told.code, told.reason) == (Code.NOT_FOUND, "RECORDING_NOT_FOUND")


async def test_a_recording_that_was_spoken_live_has_no_file(server: Served) -> None:
    recording_id = await spoken(server)
    told = await refusal(download(server, recording_id))
    assert (told.code, told.reason) == (Code.FAILED_PRECONDITION, "RECORDING_WITHOUT_FILE")
    assert told.metadata == {"recording_id": recording_id}
    assert "live" in told.message


async def test_a_file_that_has_expired_is_said_to_have(server: Served, store: MemoryObjects) -> None:
    recording_id = await uploaded(server)
    await store.delete(audio_key("acme", hashlib.sha256(CLIP).digest()))
    told = await refusal(download(server, recording_id))
    assert (told.code, told.reason) == (Code.FAILED_PRECONDITION, "RECORDING_WITHOUT_FILE")
    assert told.metadata == {"recording_id": recording_id}
    assert "expired" in told.message


async def test_a_file_of_another_tenant_is_never_given(server: Served) -> None:
    """Metadata takes no such recording; should there be one all the same, this server does not rely on it."""
    recording_id, other = await uploaded(server), media.wav(seed=1)
    key = (await server.upload(other, tenant="other")).recording.object.key
    tenant, recording = server.metadata.recordings_by_id[recording_id]
    assert recording.content.file is not None
    stolen = replace(recording.content.file.object, key=key, sha256=hashlib.sha256(other).digest())
    file = replace(recording.content.file, object=stolen)
    changed = replace(recording, content=replace(recording.content, file=file))
    server.metadata.recordings_by_id[recording_id] = tenant, changed
    told = await refusal(download(server, recording_id))
    assert (told.code, told.reason) == (Code.FAILED_PRECONDITION, "RECORDING_WITHOUT_FILE")


async def test_who_may_only_write_is_refused(server: Served) -> None:
    recording_id = await uploaded(server)
    told = await refusal(download(server, recording_id, scopes=frozenset({"recordings.write"})))
    assert (told.code, told.reason, told.metadata) == (
        Code.PERMISSION_DENIED,
        "SCOPE_MISSING",
        {"scope": "recordings.read"},
    )


async def test_a_call_without_identity_is_refused(server: Served) -> None:
    request = ingestion_service_pb2.CreateDownloadRequest(recording_id=str(uuid.uuid4()))
    told = await refusal(server.uploads.CreateDownload(request))
    assert (told.code, told.reason) == (Code.UNAUTHENTICATED, "IDENTITY_MISSING")


async def test_while_the_store_is_away_nobody_is_told_that_the_file_is_lost(
    server: Served, store: MemoryObjects
) -> None:
    recording_id = await uploaded(server)
    store.down = True
    told = await refusal(download(server, recording_id))
    assert (told.code, told.reason, told.metadata) == (
        Code.UNAVAILABLE,
        "DEPENDENCY_UNAVAILABLE",
        {"dependency": "objects"},
    )
    assert told.retry_s
    store.down = False
    assert (await download(server, recording_id)).url


async def test_while_metadata_is_away_the_caller_is_told_when_to_come_back(server: Served) -> None:
    recording_id = await uploaded(server)
    server.metadata.down = True
    told = await refusal(download(server, recording_id))
    assert (told.code, told.metadata, bool(told.retry_s)) == (Code.UNAVAILABLE, {"dependency": "metadata"}, True)
    server.metadata.down = False
    assert (await download(server, recording_id)).url
