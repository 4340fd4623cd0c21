"""Tells Vietnamese that was typed without accents from other languages, by the shape of its syllables.

Vietnamese is written in syllables of a strict form: an onset, a nucleus, and one of eight endings. Its folded syllables
number some two thousand, and few words of other languages fall among them ("to", "can"): so the share of words that do
tells the languages apart without a word list.
"""

import re
from collections.abc import Sequence

_ONSET = "b|c|ch|d|g|gh|gi|h|k|kh|l|m|n|ng|ngh|nh|p|ph|qu|r|s|t|th|tr|v|x"
_OPEN_RIME = (
    "a|ai|ao|au|ay|e|eo|eu|i|ia|ieu|iu|o|oa|oai|oao|oay|oe|oeo|oi|u|ua|uao|uau|uay|ue|ui|uo|uoi|uou|uu|uy|uya|uyu|"
    "y|ya|yeu"
)
_CLOSED_NUCLEUS = "a|e|i|ie|o|oa|oe|oo|u|ua|ue|uo|uy|uye|y|ye"
_SYLLABLE = re.compile(rf"(?:{_ONSET})?(?:{_OPEN_RIME}|(?:{_CLOSED_NUCLEUS})(?:c|ch|m|n|ng|nh|p|t))")

LEAST_SHARE = 0.7


def seem_vietnamese(folded: Sequence[str]) -> bool:
    """Whether at least LEAST_SHARE of these folded words have the form of a Vietnamese syllable; digits don't count."""
    letters = [word for word in folded if not word.isdigit()]
    return bool(letters) and sum(map(is_syllable, letters)) >= LEAST_SHARE * len(letters)


def is_syllable(folded: str) -> bool:
    """Whether one folded word has the form of a Vietnamese syllable."""
    return _SYLLABLE.fullmatch(folded) is not None
