"""The words of a text, each with its place, and what they are compared by."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MARKS = "\u0300-\u036f"
"""Accents that stand behind their letter, in texts that are not composed."""

_WORD = re.compile(rf"\d+(?:[.,]\d+)*(?![^\W_{MARKS}])|(?:[^\W_][{MARKS}]*)+")
_GLUE = re.compile(r"[ \t\u00a0\n\r]+")


@dataclass(frozen=True)
class Word:
    """A word, or a number in digits, and where it stands."""

    text: str
    start: int
    end: int
    follows: bool
    """Whether only spaces are between it and the word before."""

    @property
    def key(self) -> str:
        """Composed and in lower case."""
        return unicodedata.normalize("NFC", self.text).lower()


def words(text: str) -> list[Word]:
    """All words of a text, in order."""
    found: list[Word] = []
    for match in _WORD.finditer(text):
        follows = bool(found) and _GLUE.fullmatch(text, found[-1].end, match.start()) is not None
        found.append(Word(match.group(), match.start(), match.end(), follows))
    return found


def runs(found: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """The same words, parted where something else than spaces is between them."""
    begin = 0
    for place in range(1, len(found) + 1):
        if place == len(found) or not found[place].follows:
            yield found[begin:place]
            begin = place
