"""The durable consumers of the search server; each index has its own, for it begins with the first event there is."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from ai2text.events.v1 import embedding_events_pb2, recording_events_pb2

from servers.common import events
from servers.common.lifecycle import Job
from servers.common.patience import LONGEST_S, patience
from servers.search import backlog
from servers.search.arrivals import Arrivals
from servers.search.deletions import Deletions
from servers.search.documents import Entry
from servers.search.intake import Intake
from servers.search.recordings import Recordings
from servers.search.shelves import Catalogue, Shelves

E = TypeVar("E")


def patient(handle: Callable[[E], Awaitable[None]], longest_s: float = LONGEST_S) -> Callable[[E], Awaitable[None]]:
    """The same, but Overloaded when it waits for too long for the disk, or for an index that is being opened."""

    async def handled(event: E) -> None:
        async with patience(longest_s, "the index does not take it in in time"):
            await handle(event)

    return handled


def jobs(bus: events.Bus, index_id: str, shelves: Shelves, intake: Intake[Entry]) -> dict[str, Job]:
    """What brings segments, what deletes them, and what brings what is known of recordings."""
    notes = Intake(Catalogue(shelves))
    arrivals = events.Consumer(
        bus,
        "EMBEDDINGS",
        events.EMBEDDING_CREATED,
        f"search-{index_id}",
        embedding_events_pb2.EmbeddingCreated,
        patient(Arrivals(intake).handle),
        concurrency=64,
    )
    deletions = events.Consumer(
        bus,
        "RECORDINGS",
        events.RECORDING_DELETED,
        f"search-deletions-{index_id}",
        recording_events_pb2.RecordingDeleted,
        patient(Deletions(shelves).handle),
        concurrency=4,
    )
    recordings = events.Consumer(
        bus,
        "RECORDINGS",
        events.RECORDING_UPDATED,
        f"search-recordings-{index_id}",
        recording_events_pb2.RecordingUpdated,
        patient(Recordings(notes).handle),
        concurrency=64,
    )

    async def take_in() -> None:
        """An index that is filled anew first learns what was deleted: else it would show that again for a while."""
        if await shelves.has_never_had_any():
            await backlog.taken_in(bus, deletions.stream, deletions.durable)
        await arrivals.run()

    return {"in": take_in, "out": deletions.run, "recordings": recordings.run, "notes": notes.run}
