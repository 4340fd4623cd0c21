"""Beam search over one clip: which of many texts is the likeliest.

As CTranslate2 has it with a patience and a length penalty of 1: hypotheses end where the end of the text is among the
best, and when as many have ended as the beam is wide, the one with the best mean log-probability wins.
"""

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Choices:
    """The likeliest next tokens behind each of some texts: log-probabilities and tokens, both [texts, n]."""

    scores: NDArray[np.float32]
    tokens: NDArray[np.int64]


@dataclass(frozen=True)
class Ended:
    """A text: its tokens, the log-probability of each and, where it has one, of its end.

    `trail` has for each set of choices that it took one from, in order, which of the texts it was by then.
    """

    tokens: list[int]
    scores: list[float]
    trail: list[int]

    @property
    def score(self) -> float:
        """The log-probability of all of it."""
        return sum(self.scores)

    @property
    def mean(self) -> float:
        """The mean over the tokens, by which texts are compared."""
        return self.score / max(1, len(self.tokens))

    def and_then(self, token: "_Candidate", *, said: bool) -> "Ended":
        """With one token more, or with its end, which is no token of it."""
        tokens = [*self.tokens, token.token] if said else self.tokens
        return Ended(tokens, [*self.scores, token.score], [*self.trail, token.parent])


@dataclass(frozen=True)
class _Candidate:
    score: float
    parent: int
    token: int


Asked = TypeVar("Asked")
Told = TypeVar("Told")
Step = Callable[[Sequence[Sequence[int]], Sequence[int]], Generator[Asked, Told, Choices]]
"""What may follow some texts of one length, each with the place of the text, in the call before, that it goes on.

A generator, like the search: both stop wherever an engine is to be asked, so that one pass can answer several."""


def search(
    first: Choices, step: Step[Asked, Told], *, beam: int, room: int, end: int, within: float = math.inf
) -> Generator[Asked, Told, Ended]:
    """The best text. `first` are the choices, one row of twice `beam`, for its first token; each call of `step` gives
    as many for each text. No text is longer than `room` tokens; `end` is the token behind a text. One whose
    log-probability is further than `within` from the best one's is given up."""
    texts = [Ended([], [], [])]
    ended: list[Ended] = []
    choices = first
    while True:
        ranked = _ranked([text.score for text in texts], choices, 2 * beam, within)
        last = len(texts[0].tokens) + 1 >= room
        spare = [each for each in ranked[beam:] if each.token != end]
        going: list[_Candidate] = []
        for each in ranked[:beam]:
            if each.token == end:
                ended.append(texts[each.parent].and_then(each, said=False))
                going += spare[:1]
                del spare[:1]
            elif last:
                ended.append(texts[each.parent].and_then(each, said=True))
            else:
                going.append(each)
        if last or len(ended) >= beam or not going:
            return max(ended, key=lambda each: each.mean)
        texts = [texts[each.parent].and_then(each, said=True) for each in going]
        choices = yield from step([text.tokens for text in texts], [each.parent for each in going])


def _ranked(totals: Sequence[float], choices: Choices, count: int, within: float) -> list[_Candidate]:
    """The best continuations of all texts; those that may not be are left out, and those too far from the best."""
    sums = (np.array(totals)[:, np.newaxis] + choices.scores).ravel()
    best = np.argsort(-sums, kind="stable")[:count]
    width, tokens, scores = choices.tokens.shape[1], choices.tokens.ravel(), choices.scores.ravel()
    return [
        _Candidate(float(scores[at]), int(at) // width, int(tokens[at]))
        for at in best
        if np.isfinite(sums[at]) and sums[at] >= sums[best[0]] - within
    ]


def repeated(text: Sequence[int], size: int) -> list[int]:
    """The tokens that would say some `size` tokens in a row again."""
    if len(text) < size:
        return []
    tail = list(text[len(text) - size + 1 :])
    return [text[at + size - 1] for at in range(len(text) - size + 1) if list(text[at : at + size - 1]) == tail]
