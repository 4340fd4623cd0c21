"""What the index of the search benchmark holds: any number of segments, drawn block by block, the same every time.

The vectors are `bench.search.vectors`' and the texts `bench.search.sentences`'; they know nothing of each other, for
each ranking is measured by itself. A segment has a number, and all else of it follows from that.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.search import texts as corpus
from bench.search import vectors
from bench.search.sentences import Sentences
from bench.search.shape import Matrix
from bench.search.texts import Texts
from bench.search.vectors import BLOCK, Cloud, Real
from servers.search.documents import Document, Embedding, Entry

TENANT = "bench-search"
LANGUAGE = "vi"
A_RECORDING = 100
"""Segments of a usual recording: half an hour of a talk."""

SPEAKING_MS = 4_000

_QUOTES = frozenset('"“”')

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Share:
    """A recording that holds one of every `of` segments, the ones whose numbers leave `rest`."""

    name: str
    of: int
    rest: int

    @property
    def recording_id(self) -> str:
        """Its id."""
        return str(uuid.UUID(int=self.of))

    def holds(self, numbers: Numbers) -> npt.NDArray[np.bool_]:
        """Which of the segments are in it."""
        held: npt.NDArray[np.bool_] = numbers % self.of == self.rest
        return held


SHARES = (Share("1pct", 100, 7), Share("001pct", 10_000, 13))
"""What filters keep: 1 % and .01 %."""


def segment_id(number: int) -> str:
    """The id of a segment."""
    return str(uuid.UUID(int=number))


def number_of(segment_id: str) -> int:
    """Which segment has the id."""
    return uuid.UUID(segment_id).int


def recording_id(number: int) -> str:
    """The recording of a segment."""
    for share in SHARES:
        if number % share.of == share.rest:
            return share.recording_id
    return str(uuid.UUID(int=(1 << 64) + number // A_RECORDING))


@dataclass(frozen=True)
class Contents:
    """Segments around the real ones of the shared texts."""

    model_name: str
    texts: Texts
    real: Real
    cloud: Cloud
    sentences: Sentences

    @classmethod
    def around(cls, model: Path, folder: Path = corpus.DEFAULT_FOLDER) -> "Contents":
        """The texts in `folder`, as the model in its own folder embeds them. FileNotFoundError without the texts.

        Their vectors are made in three minutes where they are not known yet.
        """
        real = vectors.real(model, folder)
        texts = corpus.load(folder)
        return cls(model.name, texts, real, Cloud(real.passages), Sentences(texts.passages))

    @property
    def space(self) -> str:
        """What the server calls the vectors of this model."""
        return Embedding(self.model_name, self.real.passages[0]).space

    def questions(self, count: int) -> tuple[list[str], Matrix]:
        """The first `count` and their vectors. Those with quotes are left out, for these ask for phrases."""
        plain = [place for place, text in enumerate(self.texts.questions) if not _QUOTES & set(text)][:count]
        return [self.texts.questions[place] for place in plain], self.real.questions[plain]

    def entries(self, first: int, count: int) -> Iterator[list[Entry]]:
        """The segments from number `first` to below `count`, block by block."""
        for block in range(first // BLOCK, -(-count // BLOCK)):
            start = block * BLOCK
            made, said = self.cloud.block(block), self.sentences.block(block)
            yield [
                self._entry(number, said[number - start], made[number - start])
                for number in range(max(first, start), min(count, start + BLOCK))
            ]

    def _entry(self, number: int, text: str, vector: Matrix) -> Entry:
        recording = recording_id(number)
        start_ms = number % A_RECORDING * SPEAKING_MS
        segment = segment_id(number)
        document = Document(
            TENANT, recording, recording, segment, start_ms, start_ms + SPEAKING_MS - 500, LANGUAGE, text
        )
        return Entry(document, Embedding(self.model_name, vector))
