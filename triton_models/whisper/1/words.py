"""Words with their times and probabilities, from the attention between tokens and audio.

The way there is faster-whisper's (`find_alignment`, `merge_punctuations`), after OpenAI's `timing.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

SECONDS_PER_POSITION = 0.02
LONGEST_WORD_SECONDS = 2.0
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
    """The words of one transcript.

    `alignment` is the path of (token, encoder position) pairs that CTranslate2 returns, positions 20 ms apart, whose
    last token is the end of the text. Every time lies in 0..duration and no word starts before the one before it.
    """
    starts = _token_starts(alignment)
    bounds = [0, *accumulate(piece.token_count for piece in pieces)]
    timed = []
    for piece, (first, beyond) in zip(pieces, pairwise(bounds), strict=True):
        start, end = (min(duration, starts[min(i, len(starts) - 1)]) for i in (first, beyond))
        probabilities = token_probabilities[first:beyond]
        mean = sum(probabilities) / len(probabilities) if probabilities else 0.0
        timed.append(Word(piece.text, max(start, end - LONGEST_WORD_SECONDS), end, mean))
    return [_trimmed(word) for word in _joined(timed)]


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
        if word.text.startswith(" ") and bare and bare in _OPENING:
            opening += word.text
        elif joined and not opening and bare in _CLOSING:
            last = joined[-1]
            joined[-1] = Word(last.text + word.text, last.start, last.end, last.probability)
        else:
            joined.append(Word(opening + word.text, word.start, word.end, word.probability))
            opening = ""
    return joined


def _trimmed(word: Word) -> Word:
    return Word(word.text.strip(), round(word.start, 3), round(word.end, 3), word.probability)
