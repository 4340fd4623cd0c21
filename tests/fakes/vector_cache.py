"""A cache of vectors in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from servers.embeddings.embedding import Kind, Vector


@dataclass
class KnownVectors:
    """Keeps everything; `away` makes it know nothing, and keep nothing."""

    away: bool = False
    known: dict[tuple[str, Kind], Vector] = field(default_factory=dict)

    async def get(self, texts: Sequence[str], kind: Kind) -> list[Vector | None]:
        return [None if self.away else self.known.get((text, kind)) for text in texts]

    async def put(self, vectors: Mapping[str, Vector], kind: Kind) -> None:
        if not self.away:
            self.known |= {(text, kind): vector for text, vector in vectors.items()}
