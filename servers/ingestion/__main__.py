"""Compose and run the ingestion server."""

from contextlib import AsyncExitStack

import uvloop
from ai2text.events.v1 import recording_events_pb2

from servers.common import channel, events, lifecycle, objects, telemetry
from servers.ingestion import service
from servers.ingestion.claims import Claims
from servers.ingestion.departures import Departures
from servers.ingestion.deposits import Deposits
from servers.ingestion.downloads import Downloads
from servers.ingestion.expiry import Expiry
from servers.ingestion.locks import Locks
from servers.ingestion.parts import PartedUploads
from servers.ingestion.places import Places
from servers.ingestion.probing import AvProber
from servers.ingestion.registry import MetadataRegistry
from servers.ingestion.settings import Settings
from servers.ingestion.streaming import StreamedUploads
from servers.ingestion.sweeping import Sweep


async def main(settings: Settings) -> None:
    """Serve until told to stop."""
    async with AsyncExitStack() as stack:
        stack.enter_context(telemetry.started("ingestion", settings))
        registry = MetadataRegistry(await stack.enter_async_context(channel.connect(settings.metadata)))
        bus = await stack.enter_async_context(events.connected(settings.nats_url))
        store = await stack.enter_async_context(objects.connected(settings.store()))
        folder, limit = settings.spool_dir, settings.max_file_bytes
        locks, places = Locks(), Places(folder, settings.max_uploads, settings.spool_reserve_bytes)
        claims = Claims(store)
        deposits = Deposits(store, registry, AvProber(settings.max_audio_s), locks, claims)
        sweep = Sweep(store, registry, deposits, claims, settings.sweep_age_s, settings.sweep_interval_s)
        consumer = events.Consumer(
            bus,
            stream="RECORDINGS",
            subject=events.RECORDING_DELETED,
            durable="ingestion",
            event=recording_events_pb2.RecordingDeleted,
            handle=Departures(deposits).handle,
        )
        streamed = StreamedUploads(deposits, places, folder, limit, settings.idle_s)
        parted = PartedUploads(store, store.addresses, deposits, places, locks, folder, limit)
        downloads = Downloads(store, store.addresses, registry, settings.download_expiry_s)
        await lifecycle.run(
            settings,
            mounts=[service.mount(streamed, parted, downloads, limit)],
            needs={"objects": store.check, "metadata": registry.check},
            jobs={
                "deletions": consumer.run,
                "sweep": sweep.run,
                "expiry": Expiry(store.retention, settings.audio_expiry_days).run,
            },
        )


if __name__ == "__main__":
    uvloop.run(main(Settings()))
