"""What a transaction tells the other servers: its events are kept with its rows, and relayed by the metadata server."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the domain knows events, and no driver
    from servers.common.postgres import Connection

_ADD = """
INSERT INTO outbox (tenant, event_id, subject, ordering_key, payload, traceparent)
SELECT %s, event_id, subject, ordering_key, payload, traceparent
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::bytea[], %s::text[])
    WITH ORDINALITY AS event (event_id, subject, ordering_key, payload, traceparent, place)
ORDER BY place
"""


@dataclass(frozen=True, slots=True)
class Event:
    """An event to publish, with the trace that it belongs to."""

    event_id: str
    """A UUID that depends on the event's content alone."""
    subject: str
    ordering_key: str
    """Events of one key are published in the order in which they were kept."""
    payload: bytes
    traceparent: str
    """W3C trace context of the call that made the event; empty when it had none."""


async def add(connection: "Connection", tenant: str, events: Sequence[Event]) -> None:
    """Keep events of a tenant, in their order, in its transaction."""
    await connection.execute(_ADD, (tenant, *columns(events)))


def columns(events: Sequence[Event]) -> Sequence[Sequence[str | bytes]]:
    """What each event has, as the columns of the outbox from `event_id` on."""
    return (
        [event.event_id for event in events],
        [event.subject for event in events],
        [event.ordering_key for event in events],
        [event.payload for event in events],
        [event.traceparent for event in events],
    )
