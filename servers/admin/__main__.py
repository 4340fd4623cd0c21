"""Compose and run the admin server."""

from contextlib import AsyncExitStack

import uvloop

from servers.admin import service
from servers.admin.backlogs import Gauges
from servers.admin.dead_letters import DeadLetters
from servers.admin.graveyard import DeadLetterStream
from servers.admin.settings import Settings
from servers.common import events, lifecycle, telemetry

MOST_BYTES = 1024 * 1024
"""Of one message: what names letters is small."""


async def main(settings: Settings) -> None:
    """Serve until told to stop."""
    async with AsyncExitStack() as stack:
        stack.enter_context(telemetry.started("admin", settings))
        bus = await stack.enter_async_context(events.connected(settings.nats_url))
        await lifecycle.run(
            settings,
            mounts=[service.mount(DeadLetters(DeadLetterStream(bus)))],
            needs={"nats": bus.check},
            jobs={"backlogs": Gauges(bus, settings.measure_every_s).run},
            most_bytes=MOST_BYTES,
        )


if __name__ == "__main__":
    uvloop.run(main(Settings()))
