"""The place where a file lies while it is verified."""

import asyncio
import errno
import hashlib
import os
import threading
from pathlib import Path

import google_crc32c
import pytest

from servers.common.errors import AudioTooLarge, Overloaded
from servers.ingestion.files import Content
from servers.ingestion.spool import Spool
from servers.ingestion.threads import finished


async def test_a_spool_knows_what_its_bytes_are_and_gives_them_to_several_readers(tmp_path: Path) -> None:
    content = os.urandom(300_000)
    with Spool(tmp_path, 1 << 20) as spool:
        for start in range(0, len(content), 70_000):
            await spool.add(content[start : start + 70_000])
        assert spool.content == Content(len(content), hashlib.sha256(content).digest(), google_crc32c.value(content))
        with spool.opened() as first, spool.opened() as second:
            assert first.read(1000) == content[:1000]
            assert second.read() == content
            assert first.read() == content[1000:]
            assert first.seek(-10, os.SEEK_END) == len(content) - 10
            assert first.read() == content[-10:]


async def test_a_spool_has_no_name_and_its_readers_outlive_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 100)
    await spool.add(b"hello")
    assert os.listdir(tmp_path) == []
    reader = spool.opened()
    spool.close()
    assert reader.read() == b"hello"
    reader.close()
    reader.close()


async def test_a_spool_that_is_cleared_begins_anew(tmp_path: Path) -> None:
    with Spool(tmp_path, 10) as spool:
        await spool.add(b"0123456789")
        spool.clear()
        await spool.add(b"abc")
        assert spool.content == Content(3, hashlib.sha256(b"abc").digest(), google_crc32c.value(b"abc"))


async def test_a_spool_is_bounded(tmp_path: Path) -> None:
    with Spool(tmp_path, 10) as spool:
        await spool.add(b"0123456789")
        with pytest.raises(AudioTooLarge):
            await spool.add(b"x")
        assert spool.size_bytes == 10


async def test_a_full_disk_is_no_fault_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            pass

    with Spool(tmp_path, 10) as spool:
        real = spool._file
        monkeypatch.setattr(spool, "_file", Full())
        with pytest.raises(Overloaded):
            await spool.add(b"x")
        real.close()


async def test_a_caller_who_is_cancelled_waits_for_his_thread_and_hurries_it() -> None:
    began, told, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        told.wait(10)
        ended.set()

    task = asyncio.create_task(finished(work, hurry=told.set))
    await asyncio.to_thread(began.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
