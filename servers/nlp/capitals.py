"""Capital letters: at the beginning of sentences, and of names that are sure."""

import re
from collections.abc import Iterator, Sequence

from servers.nlp import names
from servers.nlp.draft import Change
from servers.nlp.words import Word, runs, words

_END = re.compile(r"[.!?…][\"'”’»)\]]*\s+[\"'“‘«(\[]*$")
_ABBREVIATION = re.compile(
    r"\b(?:\w|tp|ts|th|gs|pgs|bs|ths|vd|tr|mr|mrs|jr|sr|ms|dr|st|no|vs|etc|v\.v)\.\s+$", re.IGNORECASE
)
_ELLIPSIS = re.compile(r"(?:(?<!\.)\.{2,}|…)\s+$")
_LONGEST_ABBREVIATION = 8


def changes(text: str, language: str) -> Iterator[Change]:
    """Letters that have to be capitals.

    A text that has capitals, but none at its very beginning, may go on a sentence: its beginning is left as it is.
    """
    found = words(text)
    named = set(_named(found)) if language == "vi" else set()
    untold = not any(letter.isupper() for letter in text)
    for place, one in enumerate(found):
        begins = untold if place == 0 else _begins_sentence(text, found[place - 1].end, one.start)
        is_pronoun = language == "en" and _is_pronoun(text, one)
        if place in named and one.key in names.SPELT:
            yield Change(one.start, one.end, names.SPELT[one.key])
        elif (begins or is_pronoun or place in named) and _can_be_capital(one.text[0]):
            yield Change(one.start, one.start + 1, one.text[0].upper())


def _can_be_capital(letter: str) -> bool:
    """Whether it has a capital, and that is one letter: "ß" and "ŉ" have none."""
    return letter.islower() and len(letter.upper()) == 1 and letter.upper() != letter


def _begins_sentence(text: str, before: int, start: int) -> bool:
    between = text[before:start]
    if not _END.search(between) or _ELLIPSIS.search(between):
        return False
    return not _ABBREVIATION.search(text[max(0, before - _LONGEST_ABBREVIATION) : start])


def _is_pronoun(text: str, one: Word) -> bool:
    """Whether a word is the English "I", and not that of "i.e." or of a list."""
    if one.text != "i":
        return False
    before, behind = text[max(0, one.start - 1) : one.start], text[one.end : one.end + 1]
    return behind not in (".", ")", "-") and before not in (".", "-", "(")


def _named(found: Sequence[Word]) -> Iterator[int]:
    """The places of the words of names that are all in small letters: who has written a capital knows the name."""
    first = 0
    for run in runs(found):
        keys, at = [one.key for one in run], 0
        while at < len(keys):
            name = names.found(keys, at)
            if all(run[place].text.islower() for place in name):
                yield from (first + place for place in name)
            at = max(at + 1, name.stop)
        first += len(run)
