"""How texts are put together for the model: those of like length, so that little of a batch is padding."""

from collections.abc import Sequence


def by_length(texts: Sequence[str], size: int) -> list[list[int]]:
    """The places of the texts, the longest first, in batches of at most `size`."""
    places = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
    return [places[at : at + size] for at in range(0, len(places), size)]
