"""LocalAgreement-2: the words on which two hypotheses in a row agree are taken as stable. Of the others the last is
held back ("hold-n" with n = 1 in the same paper): where the audio breaks off, it is half heard.

Liu et al., "Low-Latency Sequence-to-Sequence Speech Recognition and Translation by Partial Hypothesis Selection", 2020.
"""

import unicodedata
from dataclasses import dataclass


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

    def held_back(self, *, alone: bool) -> "Agreement":
        """Without the last word, unless that is stable, or all there is to show. `alone`: nothing stands before it."""
        if not self.unstable or (alone and self.words == 1):
            return self
        return Agreement(self.stable, self.unstable.rpartition(" ")[0])


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
