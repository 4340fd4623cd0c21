"""What can be found: segments with their vectors, and the part of them that a search looks at."""

import hashlib
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Vector: TypeAlias = npt.NDArray[np.float32]
"""Shape [dimensions], of Euclidean length 1."""


@dataclass(frozen=True, slots=True)
class Document:
    """One segment of a transcript of one tenant. Times are milliseconds since the recording began."""

    tenant: str
    recording_id: str
    transcript_id: str
    segment_id: str
    start_ms: int
    end_ms: int
    language_code: str
    text: str
    channel: int = 0
    """Of the audio; 0 where all channels were heard as one."""

    @property
    def id(self) -> int:
        """63 bits that name the segment of the tenant everywhere in this server; the same whenever it comes again."""
        digest = hashlib.blake2b(f"{self.tenant}\0{self.segment_id}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) >> 1


@dataclass(frozen=True, slots=True)
class Embedding:
    """A vector and the name of the model that made it. Only vectors of one space can be compared."""

    model: str
    vector: Vector

    @property
    def space(self) -> str:
        """Names the model and its number of dimensions."""
        return f"{self.model}/{len(self.vector)}"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is stored of a segment at a time."""

    document: Document
    embedding: Embedding


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of all documents that a search looks at: those of one tenant, and of these only some."""

    tenant: str
    recording_ids: tuple[str, ...] = ()
    """Empty: of every recording."""

    language_code: str = ""
    """Empty: in every language."""

    recording_numbers: tuple[int, ...] | None = None
    """The same recordings, or fewer, by the numbers that indexes have for them, ascending and never empty; None: they
    are not known apart from `recording_ids`."""

    @property
    def whole_tenant(self) -> bool:
        """Whether nothing but the tenant narrows it."""
        return not self.recording_ids and not self.language_code and self.recording_numbers is None

    def holds(self, document: Document) -> bool:
        """Whether the document of its tenant is of these recordings and this language, `recording_numbers` aside."""
        if self.recording_ids and document.recording_id not in self.recording_ids:
            return False
        return self.language_code in ("", document.language_code)
