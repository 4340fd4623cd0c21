"""The words that accents are restored with: how common each syllable of Vietnamese is, and which ones make words.

The shares are wordfreq's, the words those of pyvi's dictionary. What is made of them is one file of lines: a syllable
and its share with a tab between them, or the syllables of a word.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from mesh.models import word_lists
from mesh.models.wheels import Wheel, read_member

NAME = "accents-vi"
FILE = "words.tsv"
WHEEL = Wheel("pyvi", "0.1.1", "e5e9e0e40ea1a556af12646c6b754f065342c86f1dfe84785ba926e1190c0bb7")
RECIPE = f"accents 1 of {WHEEL} and {word_lists.WHEEL}\n"
_WORDS = "pyvi/models/words.txt"
_RAREST = 1e-7
"""The share of a syllable that is in the dictionary only."""
_LONGEST = 4


def fill(folder: Path, cache: Path) -> None:
    """Writes the file. Raises ModelError when a wheel cannot be had or is another one."""
    shares = dict(reversed(word_lists.read(word_lists.WHEEL.fetch(cache), word_lists.VIETNAMESE)))
    words = read_member(WHEEL.fetch(cache), _WORDS).decode().splitlines()
    (folder / FILE).write_text("".join(f"{line}\n" for line in lines(shares, words)), encoding="utf-8")


def lines(shares: dict[str, float], words: Iterable[str]) -> Iterator[str]:
    """The lines of the file; `shares` are those of syllables, and of other words that are left out when not letters."""
    kept = {_composed(one): share for one, share in shares.items() if one.isalpha()}
    spelt = [_composed(word).split() for word in words]
    known = [word for word in spelt if all(syllable.isalpha() for syllable in word)]
    for syllable in sorted({syllable for word in known for syllable in word}):
        kept.setdefault(syllable, _RAREST)
    yield from (f"{syllable}\t{share:.3g}" for syllable, share in kept.items())
    yield from sorted({" ".join(word) for word in known if 1 < len(word) <= _LONGEST})


def _composed(word: str) -> str:
    return unicodedata.normalize("NFC", word.strip().lower())
