"""Waiting until something has become true, among the tasks of one event loop."""

import asyncio
from collections.abc import Callable


class Changes:
    """Whoever changes what others wait for says so, and they look again."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def tell(self) -> None:
        """Something has changed."""
        self._next.set()
        self._next = asyncio.Event()

    async def until(self, condition: Callable[[], object]) -> None:
        """Return once `condition` holds; nothing else has run since it did."""
        while not condition():
            await self._next.wait()
