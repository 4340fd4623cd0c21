"""How a text is worded: who makes it better to read, and whether it stands for itself."""

from collections.abc import Sequence
from typing import Protocol

_ENDS = tuple(".?!…。？！")
_QUOTES = "\"'”’)]»"


class Refiner(Protocol):
    """Makes a text better to read."""

    async def refine(self, text: str, language: str, whole: bool) -> str:
        """The better text, or the same; never fails. Unless it is `whole`, it is a piece of a sentence that goes on."""


class NoRefiner:
    """Leaves texts as they are."""

    async def refine(self, text: str, language: str, whole: bool) -> str:
        """See Refiner."""
        return text


def ends_sentence(text: str) -> bool:
    """Whether a sentence ends where the text does."""
    return text.rstrip(_QUOTES).endswith(_ENDS)


def reads_whole(text: str) -> bool:
    """Whether a text is no piece of a sentence, as far as it shows: it has the mark at its end, and no small letter at
    its beginning."""
    return ends_sentence(text) and not text[:1].islower()


def wholeness(texts: Sequence[str], *, over: bool) -> list[bool]:
    """For each of several texts in a row whether it is no piece of a sentence. A sentence begins with the first of
    them; unless it is `over`, the last may go on."""
    said = [place for place, text in enumerate(texts) if text]
    whole = [reads_whole(text) for text in texts]
    begins = True
    for place in said:
        ends = ends_sentence(texts[place]) or (over and place == said[-1])
        whole[place] |= begins and ends
        begins = ends
    return whole
