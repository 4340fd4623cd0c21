"""Subtitle cues: a segment cut into pieces that fit a screen, two lines of 42 characters at most.

The limits are those of common subtitle guidelines. A cue ends, where it can, after punctuation; its two lines are as
even as they can be. Cues take their times from the segment's words; without usable words, a piece of text gets a share
of the segment's time by its length.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from servers.metadata.transcripts import Segment, Word

LINE_LENGTH = 42
LINES = 2

_CUE_LENGTH = LINE_LENGTH * LINES
_PAUSES = tuple(".,;:!?…。、，！？")
_CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)])


@dataclass(frozen=True, slots=True)
class Cue:
    """What is on the screen at once."""

    start_ms: int
    end_ms: int
    """After `start_ms`."""
    lines: tuple[str, ...]
    """One or two, not empty."""


@dataclass(frozen=True, slots=True)
class _Token:
    """A piece of the text that no line break may cut: characters `first` to `last`, the latter not included."""

    first: int
    last: int
    start_ms: int
    end_ms: int


def plain(text: str) -> str:
    """The text on one line: every run of white space one blank, no control characters."""
    return " ".join(text.split()).translate(_CONTROLS).strip()


def cues(segment: Segment) -> Iterator[Cue]:
    """The cues of a segment in order of time, not overlapping; none when its text shows nothing."""
    text = plain(segment.text)
    tokens = _tokens(text, segment)
    earliest = segment.start_ms
    while tokens:
        count = _cue_size(text, tokens)
        shown, tokens = tokens[:count], tokens[count:]
        start = max(earliest, shown[0].start_ms)
        end = max(start + 1, shown[-1].end_ms if tokens else segment.end_ms)
        yield Cue(start, end, _lines(text, shown))
        earliest = end


def _tokens(text: str, segment: Segment) -> list[_Token]:
    timed = _by_words(text, segment) or _by_length(text, segment)
    return [piece for token in timed for piece in _cut(text, token)]


def _by_words(text: str, segment: Segment) -> list[_Token]:
    """The words found in the text one after another, each reaching to the next; none when text and words differ."""
    found: list[tuple[int, Word]] = []
    end = 0
    for word in segment.words:
        written = plain(word.text)
        first = text.find(written, end)
        if first < 0 or text[end:first].strip():
            return []
        end = first + len(written)
        found.append((first, word))
    if text[end:].strip():
        return []
    return [_Token(first, first + len(plain(word.text)), *_within(segment, word)) for first, word in found]


def _within(segment: Segment, word: Word) -> tuple[int, int]:
    """The times of a word, kept inside its segment's."""
    start = min(max(word.start_ms, segment.start_ms), segment.end_ms)
    return start, min(max(word.end_ms, start), segment.end_ms)


def _by_length(text: str, segment: Segment) -> list[_Token]:
    """The text at its blanks, with times in proportion to the characters."""
    whole = segment.end_ms - segment.start_ms

    def time(place: int) -> int:
        return segment.start_ms + whole * place // len(text)

    return [_Token(*word.span(), time(word.start()), time(word.end())) for word in re.finditer(r"\S+", text)]


def _cut(text: str, token: _Token) -> Iterator[_Token]:
    """A token in pieces that fit a line; no letter is parted from its combining marks."""
    first = token.first
    while token.last - first > LINE_LENGTH:
        last = first + LINE_LENGTH
        while unicodedata.combining(text[last]) and last > first + 1:
            last -= 1
        yield _Token(first, last, token.start_ms, token.end_ms)
        first = last
    yield _Token(first, token.last, token.start_ms, token.end_ms)


def _cue_size(text: str, tokens: Sequence[_Token]) -> int:
    """How many of the first tokens make a cue: all that fit, or fewer to end after punctuation in its second half."""
    fitting = 1
    while fitting < len(tokens) and _breaks(tokens[: fitting + 1]):
        fitting += 1
    if fitting == len(tokens):
        return fitting
    for count in range(fitting, 0, -1):
        if tokens[count - 1].last - tokens[0].first < _CUE_LENGTH // 2:
            break
        if text[tokens[count - 1].last - 1] in _PAUSES:
            return count
    return fitting


def _breaks(tokens: Sequence[_Token]) -> list[int]:
    """After how many tokens the first line may end, so that both lines fit; all of them when one line is enough."""
    if tokens[-1].last - tokens[0].first <= LINE_LENGTH:
        return [len(tokens)]
    return [
        count
        for count in range(1, len(tokens))
        if tokens[count - 1].last - tokens[0].first <= LINE_LENGTH
        and tokens[-1].last - tokens[count].first <= LINE_LENGTH
    ]


def _lines(text: str, tokens: Sequence[_Token]) -> tuple[str, ...]:
    """The one or two lines of a cue, as even as can be."""

    def unevenness(count: int) -> int:
        return abs((tokens[count - 1].last - tokens[0].first) - (tokens[-1].last - tokens[count].first))

    breaks = _breaks(tokens)
    if breaks == [len(tokens)]:
        return (text[tokens[0].first : tokens[-1].last],)
    count = min(breaks, key=unevenness)
    return text[tokens[0].first : tokens[count - 1].last], text[tokens[count].first : tokens[-1].last]
