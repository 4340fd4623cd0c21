"""The lexicon of accents as a file: a syllable and its share with a tab between them, or the syllables of a word."""

import unicodedata
from pathlib import Path

from servers.nlp.accents import LONGEST, Lexicon
from servers.nlp.companions import COMPANIONS, SURE
from servers.nlp.names import PLACES
from servers.nlp.syllables import bare, is_bare_syllable
from servers.nlp.tones import placed

FILE = "words.tsv"


def read(folder: Path) -> Lexicon:
    """The lexicon in a folder; what is no Vietnamese syllable is left out.

    Raises OSError when the file cannot be read, ValueError when it is something else.
    """
    shares: dict[str, float] = {}
    phrases: list[list[str]] = []
    for line in (folder / FILE).read_text(encoding="utf-8").splitlines():
        spelt, _, share = line.partition("\t")
        syllables = [placed(unicodedata.normalize("NFC", one)) for one in spelt.split()]
        if not all(is_bare_syllable(bare(one)) for one in syllables):
            continue
        if share:
            shares.setdefault(syllables[0], float(share))
        elif len(syllables) > 1:
            phrases.append(syllables)
        else:
            raise ValueError(f"{FILE} has a syllable without a share: {line!r}")
    own = (phrase for phrase in (*sorted(COMPANIONS), *sorted(PLACES)) if 1 < len(phrase) <= LONGEST)
    return Lexicon(shares, [*phrases, *own], sorted(SURE))
