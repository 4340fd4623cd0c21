"""Renewal: when JetStream has lost its streams, what is stored is told again without anybody asking for it.

Whoever finds that the streams are gone makes them anew, and they are empty: what search or embeddings had not taken in
before is in Postgres alone. That shows by when they were made.
"""

import asyncio
import uuid
from typing import Protocol

import structlog

from servers.metadata.retelling import Asked, Retelling, Told

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 10.0
CLAIM_S = 60.0
"""For so long others keep away from what one server tells. It claims that anew every few seconds."""


class Streams(Protocol):
    """What is told goes there."""

    async def name(self) -> str:
        """Is another one for streams that were made anew; DependencyUnavailable."""


class ToldStreams(Protocol):
    """What is remembered of the streams, by all servers together. Every method raises DependencyUnavailable."""

    async def told(self) -> str:
        """The name of the streams that everything was told to; empty when there were none yet."""

    async def claim(self, claimant: str, lasts_s: float) -> bool:
        """Whether `claimant` alone may tell everything for so long."""

    async def remember(self, name: str) -> None:
        """Everything was told to the streams of that name."""


class Renewal:
    """Looks after the streams. Any number of servers may; one of them tells."""

    def __init__(self, streams: Streams, told: ToldStreams, retelling: Retelling) -> None:
        self._streams = streams
        self._told = told
        self._retelling = retelling
        self._claimant = str(uuid.uuid4())
        self._under_way = ("", "")
        """The streams that are being told, and the token to go on with."""

    async def run(self) -> None:
        """Look until cancelled; DependencyUnavailable, after which it goes on where it was."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Tell everything again if the streams are others than those that were told. The first ones ever that a server
        of this version sees need not be: what there is was told to them when it was new."""
        name, told = await self._streams.name(), await self._told.told()
        if name == told or not await self._claimed():
            return
        if told and not await self._all_told(name):
            return
        await self._told.remember(name)

    async def _all_told(self, name: str) -> bool:
        """False when another server has taken over."""
        log.warning("streams were made anew: what is stored is told again", streams=name)
        token = self._under_way[1] if self._under_way[0] == name else ""
        told = Told()
        while True:
            stretch = await self._retelling.go_on(Asked(), token)
            token, told = stretch.next_token, told + stretch.told
            self._under_way = (name, token)
            if not token:
                log.info("told again", recordings=told.recordings, segments=told.segments, deleted=told.deleted)
                return True
            if not await self._claimed():
                return False

    async def _claimed(self) -> bool:
        return await self._told.claim(self._claimant, CLAIM_S)
