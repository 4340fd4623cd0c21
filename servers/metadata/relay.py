"""The relay: takes events from the outbox to JetStream, at least once, in order for each key.

An event leaves the outbox only after JetStream has acknowledged it. When a crash comes between the two it is published
again under the same message id, which JetStream drops within its duplicate window and consumers bear later.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain

import structlog
from opentelemetry import metrics

from servers.common import backoff
from servers.common.errors import DependencyUnavailable
from servers.common.outbox import Event
from servers.metadata.outbox import Kept, Outbox

log = structlog.get_logger(__name__)

_METER = metrics.get_meter("ai2text")
BACKLOG = _METER.create_gauge("ai2text.outbox.backlog", description="Events that wait in the outbox.")
OLDEST = _METER.create_gauge("ai2text.outbox.oldest", unit="s", description="Age of the oldest event in the outbox.")
RELAYED = _METER.create_counter("ai2text.outbox.relayed", description="Events taken to JetStream.")

BATCH = 32
POLL_S = 0.2
"""How often the outbox is looked at when nobody says that there is something in it."""
RESTS, LONGEST_REST_S = 9.0, 1.0
"""After a batch the relay rests so many times as long as that took, so it takes a tenth of the time; on a machine that
is at its bound a batch takes longer, and fewer go. So who writes goes before who reads of it, and what is left lies in
the outbox until there is room. What comes alone goes at once; what comes meanwhile goes together, for a batch costs
little more than one event, here and where it is handled. Where there is room some 200 events a second go through, more
than twice what can be embedded of texts that are new."""
MEASURE_S = 5.0


class Relay:
    """Moves events from an outbox to wherever `publish` takes them; any number of relays may share the outbox."""

    def __init__(self, outbox: Outbox, publish: Callable[[Event], Awaitable[None]], batch: int = BATCH) -> None:
        """`publish` returns when the event is safe, and raises DependencyUnavailable when it may not be."""
        self._outbox = outbox
        self._publish = publish
        self._batch = batch
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look at the outbox at once."""
        self._woken.set()

    async def run(self) -> None:
        """Relay until cancelled. While something does not answer, wait longer and longer, up to 5 s."""
        waits = None
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            self._woken.clear()
            try:
                relayed = await self.relay_batch()
            except DependencyUnavailable as error:
                if waits is None:
                    log.warning("relay waits", dependency=error.dependency)
                waits = waits or backoff.delays()
                await asyncio.sleep(next(waits))
                continue
            waits = None
            await asyncio.sleep(min(RESTS * (loop.time() - began), LONGEST_REST_S))
            if relayed < self._batch:
                await self._news()

    async def relay_batch(self) -> int:
        """Publish some of the oldest events; how many. DependencyUnavailable when not all of them could be."""
        async with self._outbox.batch(self._batch) as batch:
            published = await self._published(batch.kept)
            if published:
                await batch.remove(published)
        RELAYED.add(len(published))
        if len(published) < len(batch.kept):
            raise DependencyUnavailable("nats")
        return len(published)

    async def measure(self) -> None:
        """Show the backlog as a metric until cancelled; keep the last figure while the outbox does not answer."""
        while True:
            with contextlib.suppress(DependencyUnavailable):
                backlog = await self._outbox.backlog()
                BACKLOG.set(backlog.events)
                OLDEST.set(backlog.oldest_s)
            await asyncio.sleep(MEASURE_S)

    async def _news(self) -> None:
        """Wait until there is something to relay, or may be."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):  # `wait_for` loses a cancellation that comes with what it waits for
                await self._woken.wait()

    async def _published(self, kept: Sequence[Kept]) -> list[int]:
        """Which events are safe now: the keys side by side, the events of one key one after another."""
        by_key: dict[str, list[Kept]] = {}
        for one in kept:
            by_key.setdefault(one.event.ordering_key, []).append(one)
        done = await asyncio.gather(*(self._published_in_order(events) for events in by_key.values()))
        return list(chain.from_iterable(done))

    async def _published_in_order(self, kept: Iterable[Kept]) -> list[int]:
        done: list[int] = []
        for one in kept:
            try:
                await self._publish(one.event)
            except DependencyUnavailable:
                break
            done.append(one.sequence)
        return done
