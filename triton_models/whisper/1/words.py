"""Words with their times and probabilities, from the attention between tokens and audio.

The way there is faster-whisper's (`find_alignment`, `merge_punctuations`), after OpenAI's `timing.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from statistics import median

SECONDS_PER_POSITION = 0.02
LONGEST_WORD_SECONDS = 2.0
FIRST_WORD_IN_MEDIANS = 2
LONGEST_IN_MEDIANS = 4
SHORTEST_LIMIT_SECONDS = 0.4
_OPENING = "\"'“¿([{-"
_CLOSING = "\"'.。,，!！?？:：”)]}、"


@dataclass(frozen=True)
class Word:
    """One word with the punctuation that clings to it; times in seconds from the start of the audio."""

    text: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True)
class Piece:
    """A word or a punctuation mark as the tokenizer splits them: `text` keeps its leading space."""

    text: str
    token_count: int


def time_words(
    pieces: Sequence[Piece], token_probabilities: Sequence[float], alignment: Sequence[tuple[int, int]], duration: float
) -> list[Word]:
    """The words of one transcript of `duration` seconds.

    `alignment` is the path of (token, encoder position) pairs that CTranslate2 returns, positions 20 ms apart; behind
    the last text token it has one more for the end of the text. Every time lies in 0..duration, and no word starts
    before the one before it.
    """
    starts = [min(duration, start) for start in _token_starts(alignment)]
    bounds = [0, *accumulate(piece.token_count for piece in pieces)]
    timed = []
    for piece, (first, beyond) in zip(pieces, pairwise(bounds), strict=True):
        start, end = (starts[min(token, len(starts) - 1)] for token in (first, beyond))
        probabilities = token_probabilities[first:beyond]
        timed.append(Word(piece.text, start, end, sum(probabilities) / max(1, len(probabilities))))
    return _shortened([replace(word, text=word.text.strip()) for word in _joined(timed) if word.text.strip()])


def _token_starts(alignment: Sequence[tuple[int, int]]) -> list[float]:
    """When each token begins, in seconds: the first position on the path at which it stands."""
    starts: list[float] = []
    for token, position in alignment:
        if token == len(starts):
            starts.append(position * SECONDS_PER_POSITION)
    return starts or [0.0]


def _joined(words: list[Word]) -> list[Word]:
    """Puts opening marks before the word that follows and closing marks behind the word before.

    Marks take no time of their own: a word keeps its times when a mark joins it.
    """
    joined: list[Word] = []
    opening = ""
    for word in words:
        bare = word.text.strip()
        if word.text.startswith(" ") and bare in _OPENING:
            opening += word.text
        elif joined and not opening and bare in _CLOSING:
            joined[-1] = replace(joined[-1], text=joined[-1].text + word.text)
        else:
            joined.append(replace(word, text=opening + word.text))
            opening = ""
    return joined


def _shortened(words: list[Word]) -> list[Word]:
    """Takes silence away from words that the alignment stretched over it.

    The first word is given all audio before it, a word after a pause the pause, the last all behind it. The first may
    last twice the median word, as in faster-whisper, others four times as long, none more than 2 s. A stretched word
    keeps its end, the last its start.
    """
    if not words:
        return []
    middle = median(word.end - word.start for word in words)
    limits = [_limit(middle, FIRST_WORD_IN_MEDIANS), *[_limit(middle, LONGEST_IN_MEDIANS)] * (len(words) - 1)]
    cut = [replace(word, start=max(word.start, word.end - limit)) for word, limit in zip(words, limits, strict=True)]
    if len(cut) > 1:
        cut[-1] = replace(words[-1], end=min(words[-1].end, words[-1].start + limits[-1]))
    return cut


def _limit(middle: float, medians: int) -> float:
    return min(LONGEST_WORD_SECONDS, max(SHORTEST_LIMIT_SECONDS, medians * middle))
