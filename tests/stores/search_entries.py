"""Entries for tests of the search stores."""

import numpy as np

from servers.search.documents import Document, Embedding, Entry, Vector

DIMENSIONS = 8
SPACE = f"e5/{DIMENSIONS}"


def vector(*parts: float) -> Vector:
    """A unit vector that begins with `parts`."""
    padded = np.zeros(DIMENSIONS, np.float32)
    padded[: len(parts)] = parts
    unit: Vector = padded / np.linalg.norm(padded)
    return unit


def entry(
    segment_id: str,
    text: str = "xin chào",
    tenant: str = "acme",
    recording_id: str = "r1",
    language_code: str = "vi",
    at: Vector | None = None,
    model: str = "e5",
    channel: int = 0,
) -> Entry:
    """A segment of one second with its vector."""
    document = Document(tenant, recording_id, "t1", segment_id, 1_000, 2_000, language_code, text, channel)
    return Entry(document, Embedding(model, vector(1) if at is None else at))


def random_entries(count: int, seed: int = 0, **fields: str) -> list[Entry]:
    """Segments `s0`, `s1`, ... with random vectors."""
    numbers = np.random.default_rng(seed)
    return [
        entry(f"s{n}", f"câu số {n}", at=vector(*numbers.standard_normal(DIMENSIONS)), **fields) for n in range(count)
    ]


def clustered_entries(count: int, clusters: int = 40, seed: int = 0, **fields: str) -> list[Entry]:
    """Segments `s0`, `s1`, ... whose vectors lie around some centres, as those of texts do."""
    numbers = np.random.default_rng(seed)
    centres = numbers.standard_normal((clusters, DIMENSIONS)) + 2
    chosen = centres[numbers.integers(clusters, size=count)] + 0.3 * numbers.standard_normal((count, DIMENSIONS))
    return [entry(f"s{n}", f"câu số {n}", at=vector(*at), **fields) for n, at in enumerate(chosen)]
