"""Word and character error rates on texts that differ neither in case, nor in punctuation, nor in tone placement."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import jiwer

_TONES = "\u0300\u0301\u0303\u0309\u0323"


@dataclass(frozen=True)
class Rates:
    """Errors over the reference's words and characters; 0.1 is one in ten."""

    wer: float
    cer: float


def rates(references: Sequence[str], hypotheses: Sequence[str]) -> Rates:
    """The rates over all texts together, so that long ones count for more."""
    expected, heard = [normalised(text) for text in references], [normalised(text) for text in hypotheses]
    return Rates(jiwer.wer(expected, heard), jiwer.cer(expected, heard))


def word_changes(one: str, other: str) -> int:
    """How many words have to be put in, left out or replaced to make one text the other."""
    words, others = normalised(one), normalised(other)
    if not words or not others:
        return len(words.split()) + len(others.split())
    compared = jiwer.process_words(words, others)
    return compared.substitutions + compared.deletions + compared.insertions


def normalised(text: str) -> str:
    """Lower case, no punctuation, and each syllable's tone moved behind it: hòa and hoà become the same."""
    kept = "".join(c if unicodedata.category(c)[0] in "LMN" or c == "'" else " " for c in text.casefold())
    return " ".join(_tone_last(word) for word in kept.replace("'", "").split())


def _tone_last(word: str) -> str:
    letters = unicodedata.normalize("NFD", word)
    tone = "".join(c for c in letters if c in _TONES)
    return unicodedata.normalize("NFC", "".join(c for c in letters if c not in _TONES)) + tone
