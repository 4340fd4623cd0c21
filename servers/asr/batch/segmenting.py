"""Cuts what was heard into segments that suit a reader: a sentence each, or as much as a subtitle shows at once.

The limits are those of common subtitle guidelines: two lines of 42 characters, and as long as one keeps looking.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from servers.asr.guards import MAX_WORDS_A_SECOND
from servers.asr.results import TimedWord
from servers.asr.wording import ends_sentence

LONGEST_MS = 8_000
LONGEST_CHARACTERS = 84
PAUSE_MS = 700
"""Who is silent for so long has ended something."""
SHORTEST_MS = 1_200
"""What is shorter goes with its neighbour, where there is no pause between them."""

_BREATHS = tuple(",;:，、；：")


@dataclass(frozen=True)
class Passage:
    """Words in a row, and how they are written."""

    text: str
    words: tuple[TimedWord, ...]

    @property
    def start_ms(self) -> int:
        return self.words[0].start_ms

    @property
    def end_ms(self) -> int:
        return max(word.end_ms for word in self.words)

    @property
    def confidence(self) -> float:
        """The mean of its words'."""
        return sum(word.confidence for word in self.words) / len(self.words)


def passages(text: str, words: Sequence[TimedWord]) -> list[Passage]:
    """The words, which are those of `text`, in order of time; none for no words."""
    written = _written(text, words)
    parts = [fitting for sentence in _sentences(words) for fitting in _fitting(sentence)]
    return [_passage(written, part) for part in _joined(parts)]


def is_whole(found: Sequence[Passage], place: int) -> bool:
    """Whether the passage at a place begins and ends where sentences do, and not in the midst of one that was too long
    for a segment."""
    return _ends_at(found, place - 1) and _ends_at(found, place)


def _ends_at(found: Sequence[Passage], place: int) -> bool:
    """Whether a sentence ends with the passage at a place: so it does before the first, and with the last."""
    if not 0 <= place < len(found) - 1:
        return True
    here, following = found[place], found[place + 1]
    return ends_sentence(here.text) or following.start_ms - here.end_ms >= PAUSE_MS


@dataclass(frozen=True)
class _Part:
    """Words from `first` to before `last` of all."""

    words: Sequence[TimedWord]
    first: int
    last: int

    def __getitem__(self, place: int) -> TimedWord:
        return self.words[self.first + place if place >= 0 else self.last + place]

    @property
    def count(self) -> int:
        return self.last - self.first

    @property
    def length_ms(self) -> int:
        return self[-1].end_ms - self[0].start_ms

    @property
    def characters(self) -> int:
        return sum(len(word.text) + 1 for word in self.words[self.first : self.last]) - 1

    @property
    def fits(self) -> bool:
        return self.length_ms <= LONGEST_MS and self.characters <= LONGEST_CHARACTERS

    @property
    def is_sayable(self) -> bool:
        """Whether anybody speaks so fast: what is not must stay alone, to be doubted."""
        return self.count <= 2 + MAX_WORDS_A_SECOND * self.length_ms / 1000

    def cut(self, count: int) -> tuple["_Part", "_Part"]:
        """Its first `count` words, and the others."""
        middle = self.first + count
        return _Part(self.words, self.first, middle), _Part(self.words, middle, self.last)

    def pause_after(self, count: int) -> int:
        """The silence behind its first `count` words, in milliseconds."""
        return self[count].start_ms - self[count - 1].end_ms


def _sentences(words: Sequence[TimedWord]) -> list[_Part]:
    found, rest = [], _Part(words, 0, len(words))
    for count in range(1, len(words)):
        if (
            _ends_sentence(words[count - 1], words[count])
            or words[count].start_ms - words[count - 1].end_ms >= PAUSE_MS
        ):
            sentence, rest = rest.cut(count - rest.first)
            found.append(sentence)
    return [*found, rest] if rest.count else found


def _ends_sentence(word: TimedWord, following: TimedWord) -> bool:
    """A full stop before a small letter belongs to an abbreviation."""
    return ends_sentence(word.text) and not following.text[:1].islower()


def _fitting(part: _Part) -> list[_Part]:
    """The part in pieces that fit a screen, cut at breaths and pauses rather than in the midst of a phrase."""
    if part.fits or part.count < 2:
        return [part]
    begin, rest = part.cut(max(range(1, part.count), key=lambda count: _goodness(part, count)))
    return [*_fitting(begin), *_fitting(rest)]


def _goodness(part: _Part, count: int) -> float:
    """How well a part is cut behind so many words: at a breath, in a pause, near the middle."""
    breath = 1.0 if part[count - 1].text.endswith(_BREATHS) else 0.0
    pause = min(1.0, max(0, part.pause_after(count)) / PAUSE_MS)
    begin, rest = part.cut(count)
    uneven = abs(begin.characters - rest.characters) / max(1, part.characters)
    return 0.6 * breath + 0.8 * pause - uneven


def _joined(parts: Sequence[_Part]) -> list[_Part]:
    """Parts with those that are too short to stand alone put to the one before them."""
    joined: list[_Part] = []
    for part in parts:
        both = _Part(part.words, joined[-1].first, part.last) if joined else part
        pause = part[0].start_ms - joined[-1][-1].end_ms if joined else 0
        short = joined and min(part.length_ms, joined[-1].length_ms) < SHORTEST_MS
        if short and both.fits and pause < PAUSE_MS and part.is_sayable:
            joined[-1] = both
        else:
            joined.append(part)
    return joined


def _written(text: str, words: Sequence[TimedWord]) -> list[tuple[str, str]]:
    """Each word with the space that the text has before it: some languages have none."""
    pairs: list[tuple[str, str]] = []
    place = 0
    for word in words:
        found = text.find(word.text, place)
        between = text[place:found] if found >= 0 else " "
        pairs.append((between if not between.strip() else " ", word.text))
        place = found + len(word.text) if found >= 0 else place
    return pairs


def _passage(written: Sequence[tuple[str, str]], part: _Part) -> Passage:
    text = "".join(between + word for between, word in written[part.first : part.last])
    return Passage(text.strip(), tuple(part.words[part.first : part.last]))
