"""What FTS5 indexes of a document, and the expression that finds it.

Both sides are words that `servers.search.words` has cut, joined by spaces: FTS5's `ascii` tokenizer leaves them as they
are, and nothing in them means anything to its query language.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from servers.search.documents import Document, Scope
from servers.search.words import Word, words

COLUMNS = "folded, spelt, place"
WEIGHTS = (1.0, 2.0, 0.0)
"""How much a match in each column counts: exact accents twice as much as folded ones; the place only filters."""

MOST_WORDS = 64
"""How many different words of a question are looked up; what follows does not count."""


def row(document: Document) -> tuple[str, str, str]:
    """The COLUMNS of a document."""
    cut = list(words(document.text))
    return " ".join(word.folded for word in cut), " ".join(word.spelt for word in cut), " ".join(_places(document))


def expression(scope: Scope, asked: Sequence[Word]) -> str:
    """Finds what is in `scope` and has any of the asked words; two that follow each other count once more as a pair.

    Vietnamese words are mostly of two syllables, so pairs stand for words. `asked` must not be empty.
    """
    asked = asked[:MOST_WORDS]
    found = _any_of("folded", [word.folded for word in asked])
    if any(word.spelt != word.folded for word in asked):
        found += " OR " + _any_of("spelt", [word.spelt for word in asked])
    return f"{_within(scope)} AND ({found})"


def _any_of(column: str, asked: Sequence[str]) -> str:
    pairs = (f"{first} {second}" for first, second in pairwise(asked))
    return f"{column} : ({_either([*asked, *pairs])})"


def _within(scope: Scope) -> str:
    wanted = [_quoted(_token("t", scope.tenant))]
    if scope.recording_ids:
        wanted.append(f"({_either(_token('r', recording_id) for recording_id in scope.recording_ids)})")
    if scope.language_code:
        wanted.append(_quoted(_token("l", scope.language_code)))
    return f"place : ({' AND '.join(wanted)})"


def _places(document: Document) -> tuple[str, str, str]:
    return (
        _token("t", document.tenant),
        _token("r", document.recording_id),
        _token("l", document.language_code),
    )


def _token(kind: str, name: str) -> str:
    """One word for any name; different for different names."""
    return kind + name.encode().hex()


def _either(phrases: Iterable[str]) -> str:
    return " OR ".join(dict.fromkeys(map(_quoted, phrases)))


def _quoted(phrase: str) -> str:
    return f'"{phrase}"'
