"""How many segments wait to be taken into the index, as NATS counts them."""

import asyncio

from nats.js.errors import NotFoundError

from servers.common import events
from servers.common.errors import DependencyUnavailable

LOOK_EVERY_S = 2.0
MANY = 1_000
"""More than so many wait only when the index is being built anew, or this server was away for long."""


class Backlog:
    """Of the consumer that brings segments. Until it was looked at for the first time there is none."""

    def __init__(self, bus: events.Bus, durable: str) -> None:
        self._bus = bus
        self._durable = durable
        self._waiting = 0

    @property
    def is_long(self) -> bool:
        """Whether much of what was said cannot be found yet."""
        return self._waiting > MANY

    async def run(self) -> None:
        """Look until cancelled; DependencyUnavailable when NATS is away: then it stays as it was."""
        try:
            while True:
                self._waiting = await self._count()
                await asyncio.sleep(LOOK_EVERY_S)
        except events.RETRYABLE as error:
            raise DependencyUnavailable("nats") from error

    async def _count(self) -> int:
        jetstream = await self._bus.jetstream()
        try:
            info = await jetstream.consumer_info("EMBEDDINGS", self._durable)
        except NotFoundError:  # nobody has read yet: everything that is there waits
            return (await jetstream.stream_info("EMBEDDINGS")).state.messages
        return (info.num_pending or 0) + (info.num_ack_pending or 0)
