"""A cache of answers in memory."""

from dataclasses import dataclass, field

from servers.search.hot import CacheAway


@dataclass
class KeptAnswers:
    """Keeps everything; `away` makes it fail."""

    away: bool = False
    kept: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def get(self, name: str) -> bytes | None:
        if self.away:
            raise CacheAway
        self.asked.append(name)
        return self.kept.get(name)

    async def put(self, name: str, answer: bytes) -> None:
        if self.away:
            raise CacheAway
        self.kept[name] = answer
