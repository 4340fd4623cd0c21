"""Compose and run the metadata server."""

from contextlib import AsyncExitStack

import uvloop

from servers.common import events, lifecycle, postgres, telemetry
from servers.common.outbox import Event
from servers.metadata import announcement, repetition, retelling_service, service
from servers.metadata.exports import Exports
from servers.metadata.library import Library
from servers.metadata.listeners import BusListeners
from servers.metadata.outbox_store import PostgresOutbox
from servers.metadata.relay import Relay
from servers.metadata.renewal import Renewal
from servers.metadata.renewal_store import PostgresToldStreams
from servers.metadata.retelling import Retelling
from servers.metadata.retelling_store import PostgresRetelling
from servers.metadata.settings import Settings
from servers.metadata.store import PostgresStore
from servers.metadata.transcripts import Transcripts

MOST_BYTES = 12 * 1024 * 1024
"""Of one message: 500 segments of the longest texts fit, in letters of three bytes."""


async def main() -> None:
    """Serve until told to stop."""
    settings = Settings()
    async with AsyncExitStack() as stack:
        stack.enter_context(telemetry.started("metadata", settings))
        database = await stack.enter_async_context(postgres.connected(settings.postgres_dsn))
        bus = await stack.enter_async_context(events.connected(settings.nats_url))

        async def publish(event: Event) -> None:
            headers = {"traceparent": event.traceparent} if event.traceparent else None
            await events.publish(bus, event.subject, event.event_id, event.payload, headers)

        store = PostgresStore(database)
        relay = Relay(PostgresOutbox(database), publish)
        library = Library(store, announcement, relay.wake)
        transcripts = Transcripts(library, store, announcement, relay.wake)
        listeners = BusListeners(bus)
        retelling = Retelling(PostgresRetelling(database), repetition, listeners, relay.wake)
        renewal = Renewal(listeners, PostgresToldStreams(database), retelling)
        await lifecycle.run(
            settings,
            mounts=[
                service.recordings(library),
                service.transcripts(transcripts, Exports(library, store)),
                retelling_service.mount(retelling),
            ],
            needs={"postgres": store.check, "nats": bus.check},
            jobs={"relay": relay.run, "backlog": relay.measure, "renewal": renewal.run},
            most_bytes=MOST_BYTES,
        )


if __name__ == "__main__":
    uvloop.run(main())  # its calls are short and many, so the event loop itself is a large part of what they cost
