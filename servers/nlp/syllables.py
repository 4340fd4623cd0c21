"""Letters of Vietnamese: accents off, and the tone of a syllable."""

import re
import unicodedata

TONES = "\u0300\u0301\u0303\u0309\u0323"
"""Grave, acute, tilde, hook above, dot below: huyền, sắc, ngã, hỏi, nặng."""

_ONSET = "ngh|ng|nh|ch|gh|gi|kh|ph|qu|th|tr|b|c|d|g|h|k|l|m|n|p|r|s|t|v|x"
_CODA = "ng|nh|ch|c|m|n|p|t"
_NUCLEUS = (
    "a|ai|ao|au|ay|e|eo|eu|i|ia|ie|ieu|iu|o|oa|oai|oao|oay|oe|oeo|oi|oo|u|ua|uay|ue|ui|uo|uoi|uou|uu|uy|uya|uye|uyu"
    "|y|ye|yeu"
)
_BARE = re.compile(rf"(?:{_ONSET})?(?:{_NUCLEUS})(?:{_CODA})?|gi(?:{_CODA})?")


def bare(text: str) -> str:
    """The text without accents, and đ as d: as many letters as the composed text has."""
    letters = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def is_bare_syllable(word: str) -> bool:
    """Whether a word without accents, in lower case, is spelt as some Vietnamese syllable without its accents."""
    return _BARE.fullmatch(word) is not None


def has_vietnamese_letter(text: str) -> bool:
    """Whether there is an accent, or đ."""
    return "đ" in text or "Đ" in text or any(unicodedata.combining(one) for one in unicodedata.normalize("NFD", text))
