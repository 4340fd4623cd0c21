"""What an entry must be, whoever brings it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from servers.common.bounds import MAX_CHANNELS
from servers.common.errors import FieldInvalid
from servers.search.documents import Document, Embedding, Entry, Vector

MOST_DIMENSIONS = 4096
MOST_CHARACTERS = 8192


def checked(document: Document, model: str, vector: Sequence[float]) -> Entry:
    """The entry, its ids in lower case; FieldInvalid names the field that is wrong."""
    for field, value in (
        ("tenant", document.tenant),
        ("model", model),
        ("segment_id", document.segment_id),
        ("recording_id", document.recording_id),
        ("text", document.text.strip()),
    ):
        if not value:
            raise FieldInvalid(field, "is empty")
    if len(document.text) > MOST_CHARACTERS:
        raise FieldInvalid("text", f"has more than {MOST_CHARACTERS} characters")
    if not 0 <= document.channel < MAX_CHANNELS:
        raise FieldInvalid("channel", f"must be 0 to {MAX_CHANNELS - 1}")
    lowered = replace(
        document,
        recording_id=document.recording_id.lower(),
        transcript_id=document.transcript_id.lower(),
        segment_id=document.segment_id.lower(),
    )
    return Entry(lowered, Embedding(model, _vector(vector)))


def _vector(given: Sequence[float]) -> Vector:
    if not 1 <= len(given) <= MOST_DIMENSIONS:
        raise FieldInvalid("vector", f"must have 1 to {MOST_DIMENSIONS} dimensions, not {len(given)}")
    vector = np.array(given, np.float32)
    if not abs(float(np.linalg.norm(vector)) - 1) < 0.01:  # not finite is not near 1 either
        raise FieldInvalid("vector", "must have length 1")
    return vector
