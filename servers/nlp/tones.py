"""Where the tone mark stands: "hòa", not "hoà"; and composed letters.

Of "oa", "oe" and "uy" at the end of a syllable the first vowel has the mark; with a letter behind them the second has
it, and after "q", whose "u" is no vowel.
"""

import re
import unicodedata
from collections.abc import Iterator

from servers.nlp.draft import Change
from servers.nlp.syllables import TONES
from servers.nlp.words import MARKS

_WORD = re.compile(rf"(?:[^\W\d_][{MARKS}]*)+")
_PAIR = re.compile(
    rf"(?P<onset>[^aeiouy\W\d_]*)(?P<first>[ou])(?P<early>[{TONES}]?)(?P<second>[aey])(?P<late>[{TONES}]?)"
    r"(?P<coda>ng|nh|ch|[cmnptiuy]?)",
    re.IGNORECASE,
)
_PAIRS = ("oa", "oe", "uy")


def changes(text: str) -> Iterator[Change]:
    """The words that are spelt another way."""
    for match in _WORD.finditer(text):
        spelt = placed(match.group())
        if spelt != match.group():
            yield Change(match.start(), match.end(), spelt)


def placed(word: str) -> str:
    """The word composed, its tone mark where the modern spelling has it."""
    letters = unicodedata.normalize("NFD", word)
    pair = _PAIR.fullmatch(letters)
    if pair is not None and (pair["first"] + pair["second"]).lower() in _PAIRS:
        early, late = pair["early"] + pair["late"], ""
        if pair["coda"] or pair["onset"].lower() == "q":
            early, late = late, early
        letters = pair["onset"] + pair["first"] + early + pair["second"] + late + pair["coda"]
    return unicodedata.normalize("NFC", letters)


def composed(text: str) -> Iterator[Change]:
    """The words whose letters are not composed; for languages without this rule of spelling."""
    for match in _WORD.finditer(text):
        letters = unicodedata.normalize("NFC", match.group())
        if letters != match.group():
            yield Change(match.start(), match.end(), letters)
