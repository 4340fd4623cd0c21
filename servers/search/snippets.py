"""The piece of a text that shows why it was found."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from servers.search.query import Query, begins, places
from servers.search.words import Word, words

MOST_CHARACTERS = 300
ELLIPSIS = "…"
_ROOM = MOST_CHARACTERS - 2 * len(ELLIPSIS)


class Span(NamedTuple):
    """Offsets in code points; `end` is after the last."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Snippet:
    """At most MOST_CHARACTERS of a text, with an ellipsis where it was cut, and the matches in it, in order."""

    text: str
    highlights: tuple[Span, ...]


class Marker:
    """Finds what was asked for in texts, and cuts pieces that show it."""

    def __init__(self, asked: Query) -> None:
        self._asked = asked
        in_phrases = {word.start for phrase in asked.phrases for word in phrase}
        alone = [word for word in asked.words if word.start not in in_phrases]
        self._spelt = frozenset(word.spelt for word in alone)
        self._folded = frozenset(word.folded for word in alone)

    def snippet(self, text: str) -> Snippet:
        """The piece of `text` that holds most of what was asked for, all of it when it is short enough."""
        matches = self._matches(text)
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

    def _matches(self, text: str) -> list[Span]:
        """What was asked for in `text`, in order: each phrase as one, and the words that stand in none."""
        there = list(words(text))
        single = self._single(there)
        if not self._asked.phrases:
            return [Span(word.start, word.end) for word in single]
        phrases = [(there[at], there[at + len(one) - 1]) for one in self._asked.phrases for at in places(one, there)]
        found: list[Span] = []
        for first, last in sorted([*phrases, *((word, word) for word in single)], key=lambda both: both[0].start):
            span = Span(first.start, last.end)
            if not found or span.start >= found[-1].end:
                found.append(span)
            elif span.end > found[-1].end:
                found[-1] = Span(found[-1].start, span.end)
        return found

    def _single(self, there: Sequence[Word]) -> list[Word]:
        """Which of these words were asked for by themselves: where one is spelt the same, only there; else wherever it
        folds alike; and those that begin with the prefix."""
        exact = {word.folded for word in there if word.spelt in self._spelt}
        prefix = self._asked.prefix
        return [
            word
            for word in there
            if word.spelt in self._spelt
            or (word.folded in self._folded and word.folded not in exact)
            or (prefix and begins(prefix, word))
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
    """`piece` without what a cut parts at either end: all up to a space, where one lies between that end and `core`;
    else the part of a word, unless that is of `core` or very long."""
    start, end = piece.start, piece.end
    if start > 0 and not text[start - 1].isspace():
        whole = (word.end for word in _parted(text, start) if word.end <= core.start)
        start = next((i + 1 for i in range(start, core.start) if text[i].isspace()), next(whole, start))
    if end < len(text) and not text[end].isspace():
        whole = (word.start for word in _parted(text, end) if word.start >= core.end)
        end = next((i for i in range(end - 1, core.end - 1, -1) if text[i].isspace()), next(whole, end))
    return Span(start, end)


def _parted(text: str, at: int) -> Iterator[Word]:
    """The word that a cut at this offset parts, if there is one that is not longer than a piece."""
    return (word for word in words(text) if word.start < at < word.end <= word.start + _ROOM)
