"""A query as it was typed, and what its signs ask for: "words in quotes" stand in that order, a last `wor*` begins one.

Signs that ask for nothing (a lone star, a quote that is not closed, a star after one letter) are as good as spaces.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from servers.search.words import Word, words

LEAST_PREFIX = 2
"""Letters of a prefix, at least: nearly every text has words that begin with a given one."""

_QUOTED = re.compile(r'"[^"]*"|“[^“”]*”')
_STARS = re.compile(r"\*+\s*\Z")


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for by words. Whatever has no words asks for nothing."""

    text: str
    """As it was typed, without its signs: what it means."""

    words: tuple[Word, ...]
    """Those outside and inside of phrases, in order, without the prefix."""

    phrases: tuple[tuple[Word, ...], ...] = ()
    """What a document must hold, every one: these words, one right after the other."""

    prefix: Word | None = None
    """The beginning of a word."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to look for."""
        return not self.words and self.prefix is None

    def allows(self, text: str) -> bool:
        """Whether `text` holds every phrase."""
        if not self.phrases:
            return True
        there = list(words(text))
        return all(any(True for _ in places(phrase, there)) for phrase in self.phrases)

    def completed(self, text: Sequence[Word]) -> tuple[Word, ...]:
        """The words, and last the one of `text` that the prefix begins; the prefix itself when there is none."""
        if self.prefix is None:
            return self.words
        begun = (word for word in text if begins(self.prefix, word))
        return *self.words, next(begun, self.prefix)


def parsed(query: str) -> Query:
    """What `query` asks for. No text is an error."""
    prefix = _prefix(query)
    cut = [word for word in words(query) if not prefix or word.start != prefix.start]
    quoted = [found.span() for found in _QUOTED.finditer(query)]
    phrases = [tuple(word for word in cut if start < word.start < end) for start, end in quoted]
    text = _QUOTED.sub(lambda found: found.group()[1:-1], _STARS.sub("", query) if prefix else query).strip()
    return Query(text or query, tuple(cut), tuple(filter(None, phrases)), prefix)


def places(phrase: Sequence[Word], text: Sequence[Word]) -> Sequence[int]:
    """Where in the words of a text a phrase begins: as it is spelt, or folded where it was typed without accents."""
    accented = any(word.spelt != word.folded for word in phrase)
    wanted, there = _forms(phrase, accented), _forms(text, accented)
    return [at for at in range(len(there) - len(wanted) + 1) if there[at : at + len(wanted)] == wanted]


def begins(prefix: Word, word: Word) -> bool:
    """Whether `word` begins with `prefix`, accents folded."""
    return word.folded.startswith(prefix.folded)


def _prefix(query: str) -> Word | None:
    """The last word, when a star follows it outside of quotes and it is long enough."""
    stars = _STARS.search(query)
    last = next(reversed(list(words(query))), None)
    if not stars or not last or last.end != stars.start() or len(last.folded) < LEAST_PREFIX:
        return None
    return None if any(found.end() > last.start for found in _QUOTED.finditer(query)) else last


def _forms(cut: Sequence[Word], accented: bool) -> list[str]:
    return [word.spelt if accented else word.folded for word in cut]
