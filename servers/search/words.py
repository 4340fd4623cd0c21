"""Words of a text: as they are spelt, and folded, so that `xin chao` and `Xin chào` share both of theirs.

Folding is what Vietnamese readers do when a keyboard has no accents: case and marks go, and đ becomes d.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_MARKS = "\u0300-\u036f"
_WORD = re.compile(rf"(?:[^\W_][{_MARKS}]*)+")
_MARK = re.compile(rf"[{_MARKS}]")


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a text. `start` and `end` are offsets in code points of the text as it was given."""

    spelt: str
    """In lower case, composed (NFC)."""

    folded: str
    """`spelt` without accents."""

    start: int
    end: int


def words(text: str) -> Iterator[Word]:
    """The words of `text` in order: runs of letters and digits with their marks, composed or not."""
    for match in _WORD.finditer(text):
        spelt = unicodedata.normalize("NFC", match.group().casefold())
        if folded := fold(spelt):
            yield Word(spelt, folded, match.start(), match.end())


def fold(text: str) -> str:
    """`text` in lower case without accents."""
    return _MARK.sub("", unicodedata.normalize("NFD", text.casefold())).replace("đ", "d")
