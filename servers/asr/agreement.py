"""LocalAgreement-2: the words on which two hypotheses in a row agree are taken as stable. Of the others those are held
back that are half heard, where the audio breaks off, and all from the first on of which the model is unsure. (The paper
holds back a number of words, "hold-n".)

Liu et al., "Low-Latency Sequence-to-Sequence Speech Recognition and Translation by Partial Hypothesis Selection", 2020.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from servers.asr.recognition import Word

SURE, HALF_HEARD_S = 0.4, 0.3
"""A word that is not stable is shown from this probability on, and when it ends so long before the audio does.

Of 3,072 words that were shown to 1 to 20 speakers 15.3 % were changed later; without the last of each hypothesis 11.8,
and 5.4 so, which holds back every fourth of the rest: the same partials, by each rule (docs/performance.md).
"""


@dataclass(frozen=True)
class Agreement:
    """A hypothesis, split; joined, the two parts are its text."""

    stable: str
    unstable: str

    @property
    def stable_words(self) -> int:
        """How many words the stable part has."""
        return len(self.stable.split())

    @property
    def words(self) -> int:
        """How many words there are."""
        return self.stable_words + len(self.unstable.split())

    def held_back(self, words: Sequence[Word], heard_s: float, *, alone: bool) -> "Agreement":
        """Without what is not stable and unsure or half heard, and all behind it; but a sure first word is shown where
        there is nothing else to show.

        `words` are those of the hypothesis, which has heard `heard_s` seconds; where they are not as many as this has,
        as in languages without spaces, the last is held back. `alone`: nothing stands before these words.
        """
        texts, first = self.unstable.split(), alone and not self.stable
        if len(words) == self.words:
            rest, newest = words[self.stable_words :], heard_s - HALF_HEARD_S
            whole = takewhile(lambda word: word.probability >= SURE and word.end_s <= newest, rest)
            least = int(first and bool(rest) and rest[0].probability >= SURE)
            shown = texts[: max(least, sum(1 for _ in whole))]
        else:
            shown = texts[: max(int(first), len(texts) - 1)]
        return Agreement(self.stable, " ".join(["", *shown] if self.stable and shown else shown))


class LocalAgreement:
    """Compares each hypothesis of one utterance with the one before."""

    def __init__(self) -> None:
        self._previous: list[str] = []
        self._stable_words = 0

    def update(self, text: str) -> Agreement:
        """Take in the newest hypothesis.

        The stable part grows, and shrinks only when the new hypothesis contradicts it. Case and punctuation do not
        count in the comparison: they settle late.
        """
        words = text.split()
        agreed = _common_prefix(self._previous, words)
        self._stable_words = (
            min(max(agreed, self._stable_words), len(words)) if agreed >= self._stable_words else agreed
        )
        self._previous = words
        stable = " ".join(words[: self._stable_words])
        unstable = " ".join(words[self._stable_words :])
        return Agreement(stable, f" {unstable}" if stable and unstable else unstable)

    def drop(self, words: int) -> None:
        """The first so many words are settled: the hypotheses to come begin behind them."""
        self._previous = self._previous[words:]
        self._stable_words = max(0, self._stable_words - words)


def _common_prefix(one: list[str], other: list[str]) -> int:
    length = 0
    for a, b in zip(one, other, strict=False):
        if _bare(a) != _bare(b):
            break
        length += 1
    return length


def _bare(word: str) -> str:
    return "".join(c for c in word.casefold() if unicodedata.category(c)[0] not in "PS")
