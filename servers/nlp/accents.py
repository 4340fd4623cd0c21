"""Accents for a Vietnamese text that was written without any.

Each run of words is covered by syllables and by words of the dictionary of up to four syllables, at the least cost:
a syllable costs the negative logarithm of its share among all syllables; each further syllable of a dictionary word
makes it cheaper by `TOGETHER` (found on three corpora of text; see docs/performance.md). This is Viterbi's algorithm.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from servers.nlp.draft import Change
from servers.nlp.lists import listed
from servers.nlp.syllables import bare, has_vietnamese_letter, is_bare_syllable
from servers.nlp.words import Word, runs, words

TOGETHER = 6.0
UNKNOWN = 14.0
"""The cost of a syllable that the dictionary does not have; it stays as it is."""
LONGEST = 4

_FEWEST_WORDS = 3
_RARER = math.log(20)
"""What a syllable without accents costs more than with them, where nobody means it without."""
_FEWEST_SYLLABLES = 0.65
"""Of a text's words: the rest are foreign names. With fewer the text is in another language."""
_ENGLISH = listed(
    "i you is of and was for we they with are this have has had from as by will would all her she him his your what how"
    " who when after give made get going went"
)
"""Words that English is full of and that are no Vietnamese syllables, or rare ones."""
_MOST_ENGLISH = 1 / 12


@dataclass(frozen=True)
class Spelling:
    """One way to write a syllable or a word with accents, and what it costs."""

    syllables: tuple[str, ...]
    cost: float


class Lexicon:
    """The best spelling of every syllable and word that is known without its accents."""

    def __init__(
        self, shares: Mapping[str, float], phrases: Iterable[Sequence[str]], sure: Iterable[Sequence[str]] = ()
    ) -> None:
        """`shares` are those of single syllables; each phrase has two to LONGEST; those that are sure count twice."""
        costs = {syllable: -math.log(share) for syllable, share in shares.items()}
        self._plain = {syllable: cost for syllable, cost in costs.items() if syllable == bare(syllable)}
        self._best: dict[tuple[str, ...], Spelling] = {}
        for syllable, cost in costs.items():
            self._add(Spelling((syllable,), cost))
        for together, listed_phrases in ((TOGETHER, phrases), (2 * TOGETHER, sure)):
            for phrase in listed_phrases:
                apart = sum(costs.get(one, UNKNOWN + 2) for one in phrase)
                self._add(Spelling(tuple(phrase), apart - together * (len(phrase) - 1)))

    def _add(self, spelling: Spelling) -> None:
        key = tuple(map(bare, spelling.syllables))
        if key not in self._best or spelling.cost < self._best[key].cost:
            self._best[key] = spelling

    def __len__(self) -> int:
        return len(self._best)

    def spelling(self, syllables: tuple[str, ...]) -> Spelling | None:
        """The cheapest spelling of syllables without accents, in lower case."""
        return self._best.get(syllables)

    def lacks_accents(self, syllable: str) -> bool:
        """Whether a syllable is hardly ever written without accents: "tieng" is none, "toi" is rare, "lan" a name."""
        best = self._best.get((syllable,))
        return best is not None and self._plain.get(syllable, math.inf) >= best.cost + _RARER

    def restored(self, syllables: Sequence[str]) -> list[str]:
        """The same syllables with their accents."""
        best: list[tuple[float, tuple[str, ...]]] = [(0.0, ())]
        for end in range(1, len(syllables) + 1):
            ways: list[tuple[float, tuple[str, ...]]] = [(best[end - 1][0] + UNKNOWN, (syllables[end - 1],))]
            for length in range(1, min(LONGEST, end) + 1):
                spelling = self._best.get(tuple(syllables[end - length : end]))
                if spelling is not None:
                    ways.append((best[end - length][0] + spelling.cost, spelling.syllables))
            best.append(min(ways))
        return _walked_back(best)


def _walked_back(best: Sequence[tuple[float, tuple[str, ...]]]) -> list[str]:
    """The last words of the cheapest ways, from the end to the beginning."""
    found: list[str] = []
    end = len(best) - 1
    while end > 0:
        _, last = best[end]
        found[:0] = last
        end -= len(last)
    return found


def is_unaccented(text: str, lexicon: Lexicon) -> bool:
    """Whether a text is Vietnamese of some length without a single accent, and was not meant so: "Lan xem phim"."""
    if has_vietnamese_letter(text):
        return False
    keys = [one.key for one in words(text) if one.key.isalpha()]
    syllables = [key for key in keys if is_bare_syllable(key) and lexicon.spelling((key,)) is not None]
    english = sum(key in _ENGLISH for key in keys)
    return (
        len(keys) >= _FEWEST_WORDS
        and len(syllables) >= _FEWEST_SYLLABLES * len(keys)
        and english <= _MOST_ENGLISH * len(keys)
        and any(map(lexicon.lacks_accents, syllables))
    )


def changes(text: str, lexicon: Lexicon) -> Iterator[Change]:
    """The words of an unaccented text that have accents; none when the text has some already."""
    if not is_unaccented(text, lexicon):
        return
    for run in runs(words(text)):
        for one, restored in zip(run, lexicon.restored([word.key for word in run]), strict=True):
            if restored != one.key:
                yield Change(one.start, one.end, _in_the_case_of(one, restored))


def _in_the_case_of(one: Word, restored: str) -> str:
    """Letter by letter; both have as many."""
    pairs = zip(one.text, restored, strict=True)
    return "".join(letter.upper() if model.isupper() else letter for model, letter in pairs)
