"""Time that a test moves, so that no clock decides."""

import asyncio

import pytest


async def settled() -> None:
    """Let every task run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


class LoopTime:
    """The time of the running event loop: it runs on, and the test moves it ahead."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead = 0.0
        loop = asyncio.get_running_loop()
        real = loop.time
        monkeypatch.setattr(loop, "time", lambda: real() + self._ahead)

    def passes(self, seconds: float) -> None:
        self._ahead += seconds
