"""Whether much of what was said cannot be found yet: how many segments wait to be taken into the index, as NATS counts
them, and whether metadata is telling again what it has stored, as it says itself.
"""

import asyncio
from datetime import UTC, datetime, timedelta

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from servers.common import events, streams
from servers.common.errors import DependencyUnavailable

LOOK_EVERY_S = 2.0
CATCHES_UP_S = 0.2
"""How often it is looked whether a consumer that is waited for has come to the end."""
MANY = 1_000
"""More than so many wait only when the index is being built anew, or this server was away for long."""
SAID_EVERY_S = 30.0
"""Who tells again says so every few seconds. When nothing was said for so long it has been broken off."""
UNDER_WAY_S = 5.0
"""For so long after the end of it is said what was told last may still be coming."""


class Backlog:
    """Of the consumer that brings segments. Until it was looked at for the first time nobody knows how long it is."""

    def __init__(self, bus: events.Bus, durable: str) -> None:
        self._bus = bus
        self._durable = durable
        self._waiting: int | None = None
        self._told_again = False

    @property
    def is_long(self) -> bool:
        """Whether much of what was said cannot be found yet, or may be missing."""
        return self._waiting is None or self._waiting > MANY or self._told_again

    async def run(self) -> None:
        """Look until cancelled; DependencyUnavailable when NATS is away: then it stays as it was."""
        try:
            while True:
                waiting = await self._bus.waiting("EMBEDDINGS", self._durable)
                self._told_again = await _is_told_again(await self._bus.jetstream())
                self._waiting = waiting
                events.end_if_cancelled()
                await asyncio.sleep(LOOK_EVERY_S)
        except events.RETRYABLE as error:
            raise DependencyUnavailable("nats") from error


async def taken_in(bus: events.Bus, stream: str, durable: str) -> None:
    """Returns when a consumer has done with all that there is for it; DependencyUnavailable when NATS is away."""
    while await bus.waiting(stream, durable):
        events.end_if_cancelled()
        await asyncio.sleep(CATCHES_UP_S)


async def _is_told_again(jetstream: JetStreamContext) -> bool:
    try:
        said = await jetstream.get_last_msg(streams.RETELLINGS, streams.RETELLING)
    except NotFoundError:  # not for an hour
        return False
    holds_s = SAID_EVERY_S if said.data == streams.GOES_ON else UNDER_WAY_S
    return said.time is not None and datetime.now(UTC) - said.time < timedelta(seconds=holds_s)
