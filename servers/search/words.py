"""Words of a text: as they are spelt, and folded, so that `xin chao` and `Xin chào` share both of theirs.

Folding is what Vietnamese readers do when a keyboard has no accents: case and marks go, and đ becomes d.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

_MARKS = "\u0300-\u036f"
_WORD = re.compile(rf"(?:[^\W_][{_MARKS}]*)+")
_MARK = re.compile(rf"[{_MARKS}]")
_USUAL_LENGTH = 32
_MOST_KNOWN = 50_000


class Word(NamedTuple):
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
        spelt, folded = forms_of(match.group())
        if folded:
            yield Word(spelt, folded, match.start(), match.end())


def cut(text: str) -> list[str]:
    """The pieces that `words` tells the forms of, as they stand in `text`; a piece without a folded form is no word."""
    return _WORD.findall(text)


def forms_of(word: str) -> tuple[str, str]:
    """How a piece is spelt, and folded."""
    return _known_forms(word) if len(word) <= _USUAL_LENGTH else _made_forms(word)


def _made_forms(word: str) -> tuple[str, str]:
    spelt = unicodedata.normalize("NFC", word.casefold())
    return spelt, fold(spelt)


_known_forms = lru_cache(_MOST_KNOWN)(_made_forms)
"""Few words make most of every text, and to fold one takes longer than all else that is done with it."""


def fold(text: str) -> str:
    """`text` in lower case without accents."""
    return _MARK.sub("", unicodedata.normalize("NFD", text.casefold())).replace("đ", "d")
