"""The piece of a text that shows why it was found."""

from collections.abc import Sequence
from dataclasses import dataclass

from servers.search.words import Word, words

MOST_CHARACTERS = 300
ELLIPSIS = "…"
_ROOM = MOST_CHARACTERS - 2 * len(ELLIPSIS)


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets in code points; `end` is after the last."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Snippet:
    """At most MOST_CHARACTERS of a text, with an ellipsis where it was cut, and the matches in it, in order."""

    text: str
    highlights: tuple[Span, ...]


def snippet(text: str, asked: Sequence[Word]) -> Snippet:
    """The piece of `text` that holds most of the asked words, all of it when it is short enough."""
    matches = _matches(text, asked)
    if len(text) <= MOST_CHARACTERS:
        return Snippet(text, tuple(matches))
    core = _densest(matches)
    piece = _at_words(text, _centred(len(text), core), core)
    before, after = ELLIPSIS * (piece.start > 0), ELLIPSIS * (piece.end < len(text))
    shift = len(before) - piece.start
    inside = (Span(max(match.start, piece.start), min(match.end, piece.end)) for match in matches)
    return Snippet(
        before + text[piece.start : piece.end] + after,
        tuple(Span(match.start + shift, match.end + shift) for match in inside if match.start < match.end),
    )


def _matches(text: str, asked: Sequence[Word]) -> list[Span]:
    """The asked words in `text`: where it spells one the same, only there; else wherever it folds alike."""
    spelt, folded = {word.spelt for word in asked}, {word.folded for word in asked}
    there = list(words(text))
    exact = {word.folded for word in there if word.spelt in spelt}
    return [
        Span(word.start, word.end)
        for word in there
        if word.spelt in spelt or (word.folded in folded and word.folded not in exact)
    ]


def _densest(matches: Sequence[Span]) -> Span:
    """The shortest span of at most _ROOM with the most matches; the first such one."""
    best, most, first = Span(0, 0), 0, 0
    for last, match in enumerate(matches):
        while match.end - matches[first].start > _ROOM and first < last:
            first += 1
        if last - first + 1 > most:
            best, most = Span(matches[first].start, match.end), last - first + 1
    return best


def _centred(length: int, core: Span) -> Span:
    """_ROOM characters with `core` in their middle, as far as the text of `length` reaches."""
    start = max(0, min(core.start - (_ROOM - (core.end - core.start)) // 2, length - _ROOM))
    start = min(start, core.start)
    return Span(start, start + _ROOM)


def _at_words(text: str, piece: Span, core: Span) -> Span:
    """`piece` without the part of a word at either end, where a space lies between that end and `core`."""
    start, end = piece.start, piece.end
    if start > 0 and not text[start - 1].isspace():
        start = next((i + 1 for i in range(start, core.start) if text[i].isspace()), start)
    if end < len(text) and not text[end].isspace():
        end = next((i for i in range(end - 1, core.end - 1, -1) if text[i].isspace()), end)
    return Span(start, end)
