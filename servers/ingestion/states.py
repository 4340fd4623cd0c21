"""How an upload in parts stands, as it is written into the store, so that any server can go on with it."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from servers.ingestion.files import Announced, Content, Media, Registration

MIB = 1 << 20
LEAST_PART_BYTES = 8 * MIB
MOST_PARTS = 1000


@dataclass(frozen=True, slots=True)
class State:
    """One upload."""

    announced: Announced
    part_bytes: int
    multipart_id: str
    """What the store calls it."""
    registration: Registration | None = None
    """What was registered in the end; None before."""

    @property
    def part_count(self) -> int:
        """Into how many parts the file is cut."""
        return -(-self.announced.size_bytes // self.part_bytes)

    def offset_of(self, number: int) -> int:
        """Where a part begins in the file; parts count from 1."""
        return (number - 1) * self.part_bytes

    def size_of(self, number: int) -> int:
        """How many bytes a part has; the last has what remains."""
        return min(self.part_bytes, self.announced.size_bytes - self.offset_of(number))

    def with_multipart(self, multipart_id: str) -> "State":
        """The same, begun anew."""
        return replace(self, multipart_id=multipart_id)

    def completed(self, registration: Registration) -> "State":
        """The same, done."""
        return replace(self, registration=registration)

    def written(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self), default=bytes.hex, ensure_ascii=False).encode()


def part_bytes(size_bytes: int) -> int:
    """How large the parts of a file are: 8 MiB, or whole MiB more so that there are at most 1000."""
    return max(LEAST_PART_BYTES, -(-size_bytes // (MOST_PARTS * MIB)) * MIB)


def read(content: bytes) -> State:
    """What `State.written` wrote."""
    said: dict[str, Any] = json.loads(content)
    done = said.pop("registration")
    announced = said.pop("announced")
    return State(
        announced=Announced(**announced | {"sha256": bytes.fromhex(announced["sha256"])}),
        registration=_registration(done) if done else None,
        **said,
    )


def _registration(said: dict[str, Any]) -> Registration:
    content = said["content"]
    return Registration(
        **said
        | {
            "content": Content(**content | {"sha256": bytes.fromhex(content["sha256"])}),
            "media": Media(**said["media"]),
        }
    )
