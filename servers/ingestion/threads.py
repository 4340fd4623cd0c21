"""Blocking work beside the event loop."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def finished(work: Callable[[], T], hurry: Callable[[], None] | None = None) -> T:
    """What `work` returns, done in a thread. A caller who is cancelled waits until the thread has ended.

    So whoever called may close the files that the thread works on. `hurry` tells the thread that nobody wants it now.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if hurry is not None:
            hurry()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # seen: nobody asks for it any more
        raise
