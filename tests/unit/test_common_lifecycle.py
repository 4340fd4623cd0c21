"""The end of a server: whatever becomes of a cancellation on its way, the jobs beside the calls end."""

import asyncio

import pytest

from servers.common import lifecycle


async def test_a_job_whose_cancellation_got_lost_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "CANCEL_AGAIN_S", 0.01)
    begun, lost = asyncio.Event(), 0

    async def job() -> None:
        nonlocal lost
        begun.set()
        while lost < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:  # as `asyncio.wait_for` does when the answer comes with it
                lost += 1
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        async with lifecycle._background({"deaf": job}):
            await begun.wait()
    assert lost == 2
