"""The terms of an index of words: what a query asks for, and what of it is worth looking up.

Words are cut by `servers.search.words` on both sides. Folded ones are always asked for, spelt ones when the query has
accents. Two words that follow each other are a term of their own, for most Vietnamese words have two syllables.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise, repeat
from typing import NamedTuple

from servers.search.query import Query
from servers.search.words import Word

FOLDED, SPELT = "folded", "spelt"
FOLDED_PAIRS, SPELT_PAIRS = "folded_pairs", "spelt_pairs"
PAIRS = {FOLDED: FOLDED_PAIRS, SPELT: SPELT_PAIRS}
_FOLDED_OF = {SPELT: FOLDED, SPELT_PAIRS: FOLDED_PAIRS}

SPELT_WEIGHT = 2.0
"""How much exact accents count; folded words count 1."""

PAIR_WEIGHT = 0.5
"""How much a pair counts beside its two words."""

LEAST_WEIGHT = 0.02
"""What a term in half of the documents or more counts, of what one in few does; in between it falls evenly.

BM25 as it is never lets a frequent word count for nothing. docs/adr/0012 says how these numbers were chosen.
"""

MOST_WORDS = 64
"""How many words of a query are looked up; what follows does not count."""

FEW = 2_000
"""A term in no more documents is always looked up."""

MOST_POSTINGS = 600_000
"""So many entries of all terms together are gone through at most, those of the rarest terms, which tell most."""

ALIKE = 1.25
"""A folded word in no more than so many times the documents that have it as it is spelt is not looked up beside it."""


class Term(NamedTuple):
    """A word or a pair of words in one of the fields, and how much it counts."""

    field: str
    text: str
    weight: float = 1.0
    folded: str = ""
    """The same without accents."""

    @property
    def place(self) -> tuple[str, str]:
        """Where its documents are listed."""
        return self.field, self.text


def asked(query: Query) -> list[Term]:
    """The different terms of a query's words, its prefix aside."""
    some = query.words[:MOST_WORDS]
    folded = [word.folded for word in some]
    found = _terms(FOLDED, folded, folded, 1.0)
    if any(map(_accented, some)):
        found += _terms(SPELT, [word.spelt for word in some], folded, SPELT_WEIGHT)
    return list(dict.fromkeys(found))


def prefixes(prefix: Word) -> list[Term]:
    """What the terms begin with that a prefix stands for."""
    folded = Term(FOLDED, prefix.folded)
    return [folded, Term(SPELT, prefix.spelt, SPELT_WEIGHT)] if _accented(prefix) else [folded]


def phrase(wanted: Sequence[Word]) -> tuple[str, list[str]]:
    """The field that a phrase stands in, and its words in order: as they are spelt when one of them has accents."""
    if any(map(_accented, wanted)):
        return SPELT, [word.spelt for word in wanted]
    return FOLDED, [word.folded for word in wanted]


def counted(terms: Iterable[Term], frequency: Callable[[Term], int], documents: int) -> list[tuple[int, Term]]:
    """The terms that are in any of so many documents, rarest first, with the number of documents that have them; each
    counts the less, the more these are.

    Where nearly all documents with a folded term have it with the same accents, these count for both.
    """
    found = {term.place: (count, term) for term in terms if (count := frequency(term))}
    for count, term in list(found.values()):
        if term.field in _FOLDED_OF:
            twin = (_FOLDED_OF[term.field], term.folded)
            many, other = found.get(twin, (0, term))
            if many and many <= (ALIKE * count if count > FEW else count):
                del found[twin]
                found[term.place] = (count, term._replace(weight=term.weight + other.weight))
    return [
        (count, term._replace(weight=term.weight * max(LEAST_WEIGHT, 1 - 2 * count / max(1, documents))))
        for count, term in sorted(found.values())
    ]


def telling(found: Iterable[tuple[int, Term]], enough: float, thrift: int = 1) -> list[Term]:
    """Of `counted` terms those that are worth looking up.

    Frequent ones are left out where all together would take too long, as long as the others are in `enough` documents:
    else the rarest of them come in, one by one, until they are. With `thrift` they may take so many times less.
    """
    chosen, reached = list[Term](), 0
    for count, term in found:
        if count > FEW and reached >= enough and reached + count > MOST_POSTINGS // thrift:
            break
        chosen.append(term)
        reached += count
    return chosen


def _terms(field: str, words: Sequence[str], folded: Sequence[str], weight: float) -> list[Term]:
    single = [Term(field, *both) for both in zip(words, repeat(weight), folded, strict=False)]
    double = zip(pairs(words), repeat(PAIR_WEIGHT * weight), pairs(folded), strict=False)
    return single + [Term(PAIRS[field], *both) for both in double]


def pairs(words: Sequence[str]) -> Iterable[str]:
    """Words that follow each other. No word has a low line in it, so that no two pairs look alike."""
    return map("_".join, pairwise(words))


def _accented(word: Word) -> bool:
    return word.spelt != word.folded
