"""How long the handling of an event may wait for others before it waits anew."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from servers.common.errors import Overloaded

LONGEST_S = 20.0
"""The consumer of the event gives it up for the time being after 30 s, too, but takes that for a fault of the event's,
and so many of those for poison."""


@contextlib.asynccontextmanager
async def patience(longest_s: float, why: str) -> AsyncIterator[None]:
    """Raises Overloaded, which says why, when the block takes longer than so many seconds: what waits for its turn, or
    for a disk, is not at fault."""
    try:
        async with asyncio.timeout(longest_s):
            yield
    except TimeoutError as error:
        raise Overloaded(why) from error
