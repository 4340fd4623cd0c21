"""Dead letters in memory."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from servers.admin.dead_letters import DeadLetter, Fate
from servers.common.errors import DependencyUnavailable

BURIED_AT = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
LETTER = DeadLetter(
    sequence=1,
    message_id="embeddings-TRANSCRIPTS-7",
    subject="transcript.finalized",
    consumer="embeddings",
    reason="FieldInvalid: text is empty",
    tries=1,
    buried_at=BURIED_AT,
    tenant="acme",
    event_id="e7",
    trace_id="0af7651916cd43dd8448eb211c80319c",
    payload_bytes=3,
)


@dataclass
class Letters:
    """A Graveyard. What went back to a consumer is kept; of consumers it knows `consumers`."""

    letters_: dict[int, tuple[DeadLetter, bytes]] = field(default_factory=dict)
    consumers: set[str] = field(default_factory=lambda: {"embeddings", "batch"})
    replayed: list[str] = field(default_factory=list)
    away: bool = False
    last: int = 0

    def bury(self, payload: bytes = b"abc", **fields: str) -> DeadLetter:
        """One more letter, like LETTER but for `fields`."""
        self.last += 1
        letter = replace(
            LETTER,
            sequence=self.last,
            message_id=f"embeddings-TRANSCRIPTS-{self.last}",
            payload_bytes=len(payload),
            **fields,  # type: ignore[arg-type]
        )
        self.letters_[self.last] = (letter, payload)
        return letter

    async def count(self) -> int:
        self._heed()
        return len(self.letters_)

    async def newest(self) -> int:
        self._heed()
        return self.last

    async def letters(self, after: int, subject: str) -> AsyncGenerator[DeadLetter, None]:
        self._heed()
        for letter, _ in list(self.letters_.values()):
            if letter.sequence > after and subject in ("", letter.subject):
                yield letter

    async def find(self, sequence: int) -> tuple[DeadLetter, bytes] | None:
        self._heed()
        return self.letters_.get(sequence)

    async def replay(self, letter: DeadLetter) -> Fate:
        self._heed()
        if letter.sequence not in self.letters_:
            return Fate.GONE
        if letter.consumer not in self.consumers:
            return Fate.ORPHANED
        self.replayed.append(letter.letter_id)
        del self.letters_[letter.sequence]
        return Fate.REPLAYED

    async def remove(self, letter: DeadLetter) -> bool:
        self._heed()
        return self.letters_.pop(letter.sequence, None) is not None

    def _heed(self) -> None:
        if self.away:
            raise DependencyUnavailable("nats")
