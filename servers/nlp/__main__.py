"""Compose and run the nlp server."""

from contextlib import AsyncExitStack
from pathlib import Path

import structlog
import uvloop

from servers.common import lifecycle, telemetry
from servers.nlp import lexicon, service
from servers.nlp.accents import Lexicon
from servers.nlp.refinement import Refiner
from servers.nlp.settings import Settings
from servers.nlp.workers import Workers

log = structlog.get_logger(__name__)

MOST_BYTES = 1024 * 1024
"""Of one message: thirty times the longest text, so that one which is too long is told so."""


async def main(settings: Settings) -> None:
    """Serve until told to stop."""
    async with AsyncExitStack() as stack:
        stack.enter_context(telemetry.started("nlp", settings))
        workers = Workers(settings.texts_at_once, settings.max_waiting, settings.refinement_timeout_s)
        stack.enter_context(workers)
        refiner = Refiner(_lexicon(settings.accents_lexicon))
        await lifecycle.run(settings, mounts=[service.mount(refiner, workers)], needs={}, most_bytes=MOST_BYTES)


def _lexicon(folder: Path | None) -> Lexicon | None:
    """The other steps do without it."""
    if folder is None:
        return None
    try:
        return lexicon.read(folder)
    except (OSError, ValueError) as fault:
        log.warning("no accents will be restored", folder=str(folder), fault=str(fault))
        return None


if __name__ == "__main__":
    uvloop.run(main(Settings()))
