"""How long a stream of pieces may take."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from servers.common.errors import StreamIdle
from servers.ingestion.files import Announced, Owner
from servers.ingestion.places import Places
from servers.ingestion.streaming import StreamedUploads


async def test_a_file_that_drips_for_ever_is_given_up(tmp_path: Path) -> None:
    async def dripping() -> AsyncIterator[Announced | bytes]:
        yield Announced("r", "x", size_bytes=1000)
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    uploads = StreamedUploads(cast(Any, None), Places(tmp_path, 1, 0), tmp_path, limit_bytes=1000, idle_s=0.2)
    async with asyncio.timeout(10):
        with pytest.raises(StreamIdle, match="too slowly"):
            await uploads.take(Owner("acme", "someone"), dripping())
