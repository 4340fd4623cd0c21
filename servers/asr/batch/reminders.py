"""Reminders: files that are not done, and of which no event waits any more, are asked for again.

Such files are there when JetStream has lost its data, all of it or what lay in one stream: it is asked only what waits,
not what became of it. A file of which an event waits is left alone: a second would take it over from the first.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from servers.asr.batch.operations import Announce, NewOperation
from servers.asr.batch.progress import Job
from servers.common.outbox import Event

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 60.0
SILENT_S = 120.0
"""Of a file that is left alone nothing has been noted for so long; whoever hears it notes something far more often. It
is no less than JetStream's duplicate window, so that what is asked for again is not dropped."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event that somebody is still to be told of."""

    subject: str
    payload: bytes


class UnfinishedStore(Protocol):
    """Keeps the files of all tenants. Every method raises DependencyUnavailable."""

    async def unfinished(self, silent_s: float) -> Sequence[Job]:
        """All files that are not done, and of which nothing has been noted for so long."""

    async def untold(self) -> Sequence[Told]:
        """The events of files that have not gone out yet."""

    async def ask_again(self, job: Job, silent_s: float, events: Sequence[Event]) -> bool:
        """Note that the file is asked for again, and keep the events that do; False when it is `unfinished` no more:
        it is done, or another server has been faster."""


class Backlog(Protocol):
    """What has gone out."""

    async def waiting(self) -> Sequence[Told]:
        """The events of files that have not been done with. DependencyUnavailable."""


Named = Callable[[Told], tuple[str, str] | None]
"""Of which operation and recording an event tells; None when it is no event."""


class Reminders:
    """Looks after the files of all tenants. Any number of servers may."""

    def __init__(self, store: UnfinishedStore, backlog: Backlog, named: Named, announce: Announce) -> None:
        self._store = store
        self._backlog = backlog
        self._named = named
        self._announce = announce

    async def run(self) -> None:
        """Look until cancelled. DependencyUnavailable."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self, silent_s: float = SILENT_S) -> int:
        """Ask again for what nobody will be told of; for how many files.

        An event goes from the outbox to JetStream, and lies there until its file is done. So the files are read first,
        then the outbox, then JetStream: what was unfinished, and is found in neither, is lost or done meanwhile.
        """
        files = await self._store.unfinished(silent_s)
        if not files:
            return 0
        told = [*await self._store.untold(), *await self._backlog.waiting()]
        waiting = {self._named(one) for one in told}
        lost = [file for file in files if (file.operation_id, file.recording_id) not in waiting]
        asked = [await self._store.ask_again(file, silent_s, self._event(file)) for file in lost]
        if count := sum(asked):
            log.warning("files are asked for again: their events were lost", files=count)
        return count

    def _event(self, file: Job) -> Sequence[Event]:
        return self._announce(file.tenant, NewOperation(file.operation_id, file.subject, "", [file.recording_id]))
