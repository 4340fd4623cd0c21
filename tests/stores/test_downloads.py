"""Addresses of downloads at the real SeaweedFS: what they open, how players and browsers read there, and how long."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import aiohttp
import av
import pytest
from ai2text.ingestion.v1 import ingestion_service_pb2
from yarl import URL

from servers.common import objects
from servers.common.objects import ObjectStore
from servers.ingestion.files import incoming_key
from tests.fakes import media
from tests.rpc import ingestion_server
from tests.rpc.ingestion_server import Served, announced
from tests.rpc.metadata_server import headers
from tests.rpc.refusals import refusal
from tests.stores.object_server import ObjectServer

CLIP = media.wav(59.0, rate=96_000)
"""11 MB: SeaweedFS keeps it in several chunks."""
TITLE = "Cuộc họp; 100 % (a/b)"


@pytest.fixture
def bucket() -> str:
    return f"b-{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def store(objects_server: ObjectServer, bucket: str) -> AsyncIterator[ObjectStore]:
    async with objects.connected(objects_server.address(bucket)) as connected:
        yield connected


@pytest.fixture
async def server(store: ObjectStore, tmp_path: Path) -> AsyncIterator[Served]:
    async with ingestion_server.served(store, tmp_path) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def uploaded(server: Served, content: bytes = CLIP) -> str:
    return (await server.upload(content, announced(content, title=TITLE))).recording.recording_id


async def download(server: Served, recording_id: str) -> ingestion_service_pb2.CreateDownloadResponse:
    request = ingestion_service_pb2.CreateDownloadRequest(recording_id=recording_id)
    return await server.uploads.CreateDownload(request, metadata=headers())


def exactly(url: str) -> URL:
    """As it was signed: no library may write it in another way."""
    return URL(url, encoded=True)


async def test_the_bytes_that_were_uploaded_come_back_with_a_type_that_browsers_play(
    server: Served, http: aiohttp.ClientSession
) -> None:
    found = await download(server, await uploaded(server))
    async with http.get(exactly(found.url)) as answer:
        assert answer.status == 200
        assert await answer.read() == CLIP
        assert answer.headers["Content-Type"] == found.content_type == "audio/wav"
        assert answer.headers["Accept-Ranges"] == "bytes"
        said = answer.headers["Content-Disposition"]
    assert found.file_name == "Cuộc họp; 100 % (a_b).wav"
    assert said.startswith("inline; ")
    assert said.endswith(f"filename*=UTF-8''{quote(found.file_name, safe='')}")


async def test_a_player_reads_from_any_byte(server: Served, http: aiohttp.ClientSession) -> None:
    found, size = await download(server, await uploaded(server)), len(CLIP)
    for asked, begin, end in (
        ("0-0", 0, 1),
        ("9000000-", 9_000_000, size),
        ("8388600-8388700", 8_388_600, 8_388_701),
        ("-100", size - 100, size),
    ):
        async with http.get(exactly(found.url), headers={"Range": f"bytes={asked}"}) as answer:
            assert answer.status == 206, asked
            assert answer.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{size}"
            assert await answer.read() == CLIP[begin:end]
    async with http.get(exactly(found.url), headers={"Range": f"bytes={size}-"}) as answer:
        assert answer.status == 416


async def test_ffmpeg_which_is_inside_of_most_players_opens_it_at_a_second(server: Served) -> None:
    found = await download(server, await uploaded(server))

    def heard() -> float:
        """The second of the first frame after seeking to the 50th."""
        with av.open(found.url, options={"seekable": "1"}) as container:
            container.seek(50 * av.time_base)
            frame = next(container.decode(audio=0))
            return float(frame.time)

    assert await asyncio.to_thread(heard) == pytest.approx(50, abs=0.5)


async def test_an_address_opens_nothing_else_and_to_nobody_who_changes_it(
    server: Served, store: ObjectStore, http: aiohttp.ClientSession
) -> None:
    found = await download(server, await uploaded(server))
    key = (await anext(store.entries("audio/"))).key
    await store.write(incoming_key("acme", "other"), b"secret")
    forged = [
        found.url.replace(key, incoming_key("acme", "other")),
        found.url.replace("audio%2Fwav", "text%2Fhtml"),
        found.url.replace("inline", "attachment"),
        found.url.replace("X-Amz-Expires=900", "X-Amz-Expires=9000"),
        found.url.partition("?")[0],
    ]
    assert found.url not in forged
    for url in forged:
        async with http.get(exactly(url)) as answer:
            assert answer.status == 403, url
    for method in ("PUT", "DELETE", "HEAD", "POST"):
        async with http.request(method, exactly(found.url), data=None if method == "HEAD" else b"x") as answer:
            assert answer.status in (403, 405), method
    async with http.get(exactly(found.url)) as answer:
        assert await answer.read() == CLIP


async def test_an_address_is_good_until_it_expires(store: ObjectStore, http: aiohttp.ClientSession) -> None:
    await store.write("audio/acme/a", b"sound")
    url = await store.addresses.file("audio/acme/a", "audio/wav", "inline", 5)
    async with http.get(exactly(url)) as answer:
        assert (answer.status, await answer.read()) == (200, b"sound")

    async def status() -> int:
        async with http.get(exactly(url)) as answer:
            return answer.status

    async with asyncio.timeout(20):
        while (told := await status()) == 200:
            await asyncio.sleep(0.1)
    assert told == 403


async def test_addresses_name_the_store_as_clients_reach_it(objects_server: ObjectServer, bucket: str) -> None:
    address = replace(objects_server.address(bucket), public_endpoint="https://files.example.org")
    async with objects.connected(address) as store:
        url = await store.addresses.file("audio/acme/a", "audio/wav", "inline", 60)
    assert url.startswith(f"https://files.example.org/{bucket}/audio/acme/a?")


async def test_a_file_that_the_store_has_removed_is_no_longer_to_be_had(server: Served, store: ObjectStore) -> None:
    recording_id = await uploaded(server, CLIP[: 1 << 20] + os.urandom(2))
    assert (await download(server, recording_id)).url
    async for entry in store.entries("audio/"):
        await store.delete(entry.key)
    request = ingestion_service_pb2.CreateDownloadRequest(recording_id=recording_id)
    told = await refusal(server.uploads.CreateDownload(request, metadata=headers()))
    assert told.reason == "RECORDING_WITHOUT_FILE"
