"""The rule by which the store removes raw audio on its own; see the setting `audio_expiry_days`."""

import asyncio
from typing import Protocol

from servers.ingestion.files import AUDIO


class Rules(Protocol):
    """Where such rules are kept."""

    async def expire(self, prefix: str, days: int) -> None:
        """What is under the prefix goes after so many days; 0: never."""


class Expiry:
    """Tells the store once; it keeps the rule."""

    def __init__(self, rules: Rules, days: int) -> None:
        self._rules = rules
        self._days = days

    async def run(self) -> None:
        """Set the rule, then rest: a job does not end."""
        await self._rules.expire(AUDIO, self._days)
        await asyncio.get_running_loop().create_future()
