"""Any number of Vietnamese sentences for a search by words, the same every time, made when they are wanted.

Each is a walk from word to word, a word being followed by one that follows it somewhere in the real sentences: so the
frequent words are as frequent as in real text (`và`, `không`, `của` are what makes ranking by words slow), and pairs of
words, which are most Vietnamese words, are real ones. Few real sentences hold few names: so some words are replaced by
made-up ones, whose frequencies fall off as names' do.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from servers.search.words import words

BLOCK = 50_000
SEED = 5
SHORTEST, LONGEST = 4, 28
"""Words of a sentence; people say about 15 at a time."""

NAMES = 300_000
NAME_SHARE = 0.04
_END = 0

Numbers = npt.NDArray[np.int64]


class Sentences:
    """Sentences of the words of `real` ones."""

    def __init__(self, real: Sequence[str], seed: int = SEED, block: int = BLOCK) -> None:
        self._seed = seed
        self._block = block
        cut = [[word.spelt for word in words(text)] for text in real]
        self._words = ["", *sorted(set(itertools.chain.from_iterable(cut)))]
        numbers = {word: number for number, word in enumerate(self._words)}
        self._first = np.array([numbers[sentence[0]] for sentence in cut if sentence])
        self._start, self._count, self._next = _followers([[numbers[word] for word in one] for one in cut])

    def blocks(self, count: int) -> Iterator[tuple[int, list[str]]]:
        """The first `count` sentences, block by block, each with the number of its first."""
        for first in range(0, count, self._block):
            yield first, self.block(first // self._block)[: count - first]

    def block(self, number: int) -> list[str]:
        """The sentences from `number` times the size of a block on, in lower case."""
        rng = np.random.default_rng([self._seed, number])
        lengths = np.clip(rng.poisson(15, self._block), SHORTEST, LONGEST)
        walked = np.zeros((self._block, LONGEST), np.int64)
        walked[:, 0] = rng.choice(self._first, self._block)
        for step in range(1, LONGEST):
            walked[:, step] = self._step(walked[:, step - 1], rng)
        names = (rng.pareto(0.7, walked.shape) * 20).astype(np.int64) % NAMES
        named = rng.random(walked.shape) < NAME_SHARE
        return [
            " ".join(
                self._name(name) if is_name else self._words[word]
                for word, name, is_name in zip(*(row[:length] for row in rows), strict=True)
            )
            for *rows, length in zip(walked.tolist(), names.tolist(), named.tolist(), lengths.tolist(), strict=True)
        ]

    def _step(self, at: Numbers, rng: np.random.Generator) -> Numbers:
        chosen = (rng.random(len(at)) * self._count[at]).astype(np.int64)
        after = self._next[self._start[at] + chosen]
        return np.where(after == _END, rng.choice(self._first, len(at)), after)

    def _name(self, number: int) -> str:
        """One made-up word for each number: two real ones written together."""
        one, other = divmod(number * 7919 % NAMES, len(self._words) - 1)
        return self._words[1 + one % (len(self._words) - 1)] + self._words[1 + other]


def _followers(sentences: Sequence[Sequence[int]]) -> tuple[Numbers, Numbers, Numbers]:
    """Of each word: where its followers begin in the third array, and how many; each as often as it follows."""
    after: dict[int, list[int]] = defaultdict(list)
    for sentence in sentences:
        for word, follower in itertools.pairwise([*sentence, _END]):
            after[word].append(follower)
    most = max(after, default=0)
    count = np.array([len(after[word]) or 1 for word in range(most + 1)])
    start = np.concatenate([[0], np.cumsum(count)[:-1]])
    return start, count, np.array([follower for word in range(most + 1) for follower in after[word] or [_END]])
