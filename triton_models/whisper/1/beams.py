"""Beam search over one clip: which of many texts is the likeliest.

As CTranslate2 has it with a patience and a length penalty of 1: hypotheses end where the end of the text is among the
best, and when as many have ended as the beam is wide, the one with the best mean log-probability wins.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Choices:
    """The likeliest next tokens behind each of some texts: log-probabilities and tokens, both [texts, n]."""

    scores: NDArray[np.float32]
    tokens: NDArray[np.int64]


@dataclass(frozen=True)
class Ended:
    """A text, and the log-probability of its tokens and its end."""

    tokens: list[int]
    score: float

    @property
    def mean(self) -> float:
        """The mean over the tokens, by which texts are compared."""
        return self.score / max(1, len(self.tokens))


@dataclass(frozen=True)
class _Candidate:
    score: float
    parent: int
    token: int


Step = Callable[[Sequence[Sequence[int]], Sequence[int]], Choices]
"""What may follow some texts of one length, each with the place of the text, in the call before, that it goes on."""


def search(first: Choices, step: Step, *, beam: int, room: int, end: int) -> Ended:
    """The best text. `first` are the choices, one row of twice `beam`, for its first token; each call of `step` gives
    as many for each text. No text is longer than `room` tokens; `end` is the token behind a text."""
    texts: list[list[int]] = [[]]
    scores = np.zeros(1, np.float32)
    ended: list[Ended] = []
    choices = first
    while True:
        ranked = _ranked(scores, choices, 2 * beam)
        last = len(texts[0]) + 1 >= room
        spare = [each for each in ranked[beam:] if each.token != end]
        going: list[_Candidate] = []
        for each in ranked[:beam]:
            if each.token == end:
                ended.append(Ended(texts[each.parent], each.score))
                going += spare[:1]
                del spare[:1]
            elif last:
                ended.append(Ended([*texts[each.parent], each.token], each.score))
            else:
                going.append(each)
        if last or len(ended) >= beam or not going:
            return max(ended, key=lambda each: each.mean)
        texts = [[*texts[each.parent], each.token] for each in going]
        scores = np.array([each.score for each in going], np.float32)
        choices = step(texts, [each.parent for each in going])


def _ranked(scores: NDArray[np.float32], choices: Choices, count: int) -> list[_Candidate]:
    """The best continuations of all texts; those that may not be are left out."""
    sums = (scores[:, np.newaxis] + choices.scores).ravel()
    best = np.argsort(-sums, kind="stable")[:count]
    width, tokens = choices.tokens.shape[1], choices.tokens.ravel()
    return [_Candidate(float(sums[at]), int(at) // width, int(tokens[at])) for at in best if np.isfinite(sums[at])]


def repeated(text: Sequence[int], size: int) -> list[int]:
    """The tokens that would say some `size` tokens in a row again."""
    if len(text) < size:
        return []
    tail = list(text[len(text) - size + 1 :])
    return [text[at + size - 1] for at in range(len(text) - size + 1) if list(text[at : at + size - 1]) == tail]
