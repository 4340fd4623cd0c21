"""The object store's client over the real SeaweedFS."""

import asyncio
import hashlib
import io
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import google_crc32c
import pytest

from servers.common import objects
from servers.common.errors import DependencyUnavailable, Overloaded
from servers.common.objects import ObjectMissing, ObjectStore, TransferCorrupted
from servers.common.retries import Retries
from tests.stores.object_server import ObjectServer, failing_line

CONTENT = os.urandom(3 << 20)
CRC32C = google_crc32c.value(CONTENT)
MIB = 1 << 20


@pytest.fixture
def bucket() -> str:
    """Of each test another; it does not exist yet."""
    return f"b-{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def store(objects_server: ObjectServer, bucket: str) -> AsyncIterator[ObjectStore]:
    async with objects.connected(objects_server.address(bucket)) as connected:
        yield connected


async def put(store: ObjectStore, key: str, content: bytes = CONTENT, crc32c: int | None = None) -> None:
    crc32c = google_crc32c.value(content) if crc32c is None else crc32c
    await store.upload(key, lambda: io.BytesIO(content), len(content), crc32c, {"sha256": "ab"})


async def test_what_is_uploaded_is_there_with_the_checksum_of_the_store(store: ObjectStore, tmp_path: Path) -> None:
    await put(store, "audio/acme/a")
    info = await store.head("audio/acme/a")
    assert info is not None
    assert (info.size_bytes, info.crc32c, info.metadata) == (len(CONTENT), CRC32C, {"sha256": "ab"})
    assert await store.download("audio/acme/a", tmp_path / "a") == len(CONTENT)
    assert (tmp_path / "a").read_bytes() == CONTENT


async def test_a_full_disk_here_is_no_fault_of_the_store(store: ObjectStore) -> None:
    await put(store, "a")
    with pytest.raises(Overloaded, match="no room on this server's disk"):
        await store.download("a", Path("/dev/full"))


async def test_the_store_itself_refuses_bytes_that_do_not_fit_their_checksum(
    objects_server: ObjectServer, bucket: str
) -> None:
    retries = Retries("objects", tries=2, first_s=0.01)
    async with objects.connected(objects_server.address(bucket), retries) as store:
        with pytest.raises(TransferCorrupted):
            await put(store, "a", crc32c=CRC32C ^ 1)
        assert await store.head("a") is None


async def test_what_is_not_there_is_missing(store: ObjectStore, tmp_path: Path) -> None:
    assert await store.head("nothing") is None
    with pytest.raises(ObjectMissing):
        await store.read("nothing")
    with pytest.raises(ObjectMissing):
        await store.download("nothing", tmp_path / "a")
    with pytest.raises(ObjectMissing):
        await store.parts("nothing", "no-such-upload")
    await store.delete("nothing")
    await store.abort_multipart("nothing", "no-such-upload")


async def test_a_new_write_does_not_replace_what_is_there(store: ObjectStore) -> None:
    assert await store.write("state", b"one", new=True)
    assert not await store.write("state", b"two", new=True)
    assert await store.read("state") == b"one"
    assert await store.write("state", b"three")
    assert await store.read("state") == b"three"


async def test_a_small_read_is_bounded(store: ObjectStore) -> None:
    await put(store, "large")
    with pytest.raises(ValueError, match="more than"):
        await store.read("large", limit_bytes=10)


async def test_objects_are_listed_by_prefix_and_by_folder_over_several_pages(store: ObjectStore) -> None:
    names = [f"audio/t{number % 3}/{number:04}" for number in range(1001)]
    slots = asyncio.Semaphore(32)

    async def write(name: str) -> None:
        async with slots:
            await store.write(name, b"x")

    await asyncio.gather(*(write(name) for name in names))
    assert [entry.key async for entry in store.entries("audio/")] == sorted(names)
    assert [entry.size_bytes async for entry in store.entries("audio/t1/0001")] == [1]
    assert [folder async for folder in store.folders("audio/")] == ["audio/t0/", "audio/t1/", "audio/t2/"]


async def test_a_copy_has_the_same_bytes_and_metadata_of_its_own(store: ObjectStore) -> None:
    await put(store, "a")
    await store.copy("a", "b", len(CONTENT), {"new": "yes"})
    info = await store.head("b")
    assert info is not None
    assert (info.size_bytes, info.metadata) == (len(CONTENT), {"new": "yes"})
    with pytest.raises(ObjectMissing):
        await store.copy("nothing", "c", 1)


async def test_parts_that_anybody_puts_to_presigned_addresses_are_joined(store: ObjectStore) -> None:
    content = os.urandom(13 * MIB)
    multipart_id = await store.create_multipart("incoming/acme/u")
    assert [upload.key for upload in await store.unfinished("incoming/")] == ["incoming/acme/u"]
    async with aiohttp.ClientSession() as http:
        for number, start in ((2, 8 * MIB), (1, 0)):
            size = min(8 * MIB, len(content) - start)
            url = await store.addresses.part("incoming/acme/u", multipart_id, number, size, 60)
            async with http.put(url, data=b"too short") as other:
                assert other.status == 403
            async with http.put(url, data=io.BytesIO(content[start : start + 8 * MIB])) as answer:
                assert answer.status == 200
            async with http.put(url[:-1] + ("0" if url[-1] != "0" else "1"), data=b"x") as forged:
                assert forged.status == 403
    parts = await store.parts("incoming/acme/u", multipart_id)
    assert [(part.number, part.size_bytes) for part in parts] == [(1, 8 * MIB), (2, 5 * MIB)]
    await store.complete_multipart("incoming/acme/u", multipart_id, parts)
    sha256 = hashlib.sha256()
    async for chunk in store.chunks("incoming/acme/u"):
        sha256.update(chunk)
    assert sha256.digest() == hashlib.sha256(content).digest()
    assert await store.unfinished("incoming/") == []


async def test_unfinished_uploads_are_found_over_several_pages(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "UPLOADS_A_PAGE", 2)
    keys = [f"incoming/acme/{number}" for number in range(5)]
    begun = {(key, await store.create_multipart(key)) for key in [*keys, keys[0]]}
    await store.create_multipart("elsewhere/a")
    found = await store.unfinished("incoming/")
    assert {(upload.key, upload.multipart_id) for upload in found} == begun
    assert len(found) == 6


async def test_an_aborted_upload_leaves_nothing(store: ObjectStore) -> None:
    multipart_id = await store.create_multipart("incoming/acme/u")
    await store.abort_multipart("incoming/acme/u", multipart_id)
    with pytest.raises(ObjectMissing):
        await store.parts("incoming/acme/u", multipart_id)


async def test_an_address_that_has_expired_is_refused(store: ObjectStore) -> None:
    multipart_id = await store.create_multipart("incoming/acme/u")
    url = await store.addresses.part("incoming/acme/u", multipart_id, 1, 1, 1)
    await asyncio.sleep(2.1)  # the time of the address itself
    async with aiohttp.ClientSession() as http, http.put(url, data=b"x") as answer:
        assert answer.status == 403


async def test_a_rule_of_expiry_is_set_changed_and_taken_back_without_touching_others(store: ObjectStore) -> None:
    await store.check()
    await store.retention.expire("other/", 7)
    await store.retention.expire("audio/", 30)
    await store.retention.expire("audio/", 90)
    rules = await store.retention.rules()
    assert {(rule["ID"], rule["Expiration"]["Days"]) for rule in rules} == {("ai2text-other", 7), ("ai2text-audio", 90)}
    await store.retention.expire("audio/", 0)
    assert [rule["ID"] for rule in await store.retention.rules()] == ["ai2text-other"]
    await store.retention.expire("other/", 0)
    await store.retention.expire("other/", 0)
    assert await store.retention.rules() == []


async def test_a_store_that_is_away_is_said_to_be(bucket: str, objects_server: ObjectServer) -> None:
    nowhere = objects_server.address(bucket, "http://127.0.0.1:1")
    async with objects.connected(nowhere, Retries("objects", tries=2, first_s=0.01)) as store:
        with pytest.raises(DependencyUnavailable, match="objects"):
            await store.check()
        with pytest.raises(DependencyUnavailable, match="objects"):
            await put(store, "a")


async def test_wrong_credentials_are_no_reason_to_fail_otherwise(bucket: str, objects_server: ObjectServer) -> None:
    stranger = objects.StoreAddress(objects_server.endpoint, bucket, "stranger", "secret")
    async with objects.connected(stranger, Retries("objects", tries=1)) as store:
        with pytest.raises(DependencyUnavailable):
            await put(store, "a")


async def test_calls_succeed_on_a_line_of_which_a_twentieth_fails(
    objects_server: ObjectServer, bucket: str, tmp_path: Path
) -> None:
    async with failing_line(objects_server.endpoint, 0.05) as line:
        async with objects.connected(objects_server.address(bucket, line.endpoint)) as store:
            for number in range(60):
                key = f"a/{number}"
                await put(store, key, CONTENT[: 1000 + number])
                assert await store.download(key, tmp_path / "a") == 1000 + number
            assert len([entry async for entry in store.entries("a/")]) == 60
        assert line.failures >= 5


async def readable(store: ObjectStore, key: str, path: Path) -> bool:
    """Whether an object can be had: after a start SeaweedFS finds its volumes only by and by."""
    try:
        await store.download(key, path)
    except DependencyUnavailable:
        return False
    return True


async def test_what_was_acknowledged_survives_a_crash(
    objects_server: ObjectServer, bucket: str, tmp_path: Path
) -> None:
    async with objects.connected(objects_server.address(bucket)) as store:
        await put(store, "audio/acme/a")
        multipart_id = await store.create_multipart("incoming/acme/u")
        objects_server.stop()
        objects_server.start()
        info = await store.head("audio/acme/a")
        assert info is not None
        assert info.crc32c == CRC32C
        while not await readable(store, "audio/acme/a", tmp_path / "a"):
            await asyncio.sleep(0.1)
        assert (tmp_path / "a").read_bytes() == CONTENT
        assert await store.parts("incoming/acme/u", multipart_id) == []
