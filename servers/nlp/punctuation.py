"""Spaces in order, and marks in a text that has none.

Only the end of the text gets its mark, and a few openings and conjunctions their comma: without a model nothing else is
sure enough (see docs/performance.md). A text that has marks keeps them.
"""

import re
from collections.abc import Iterator, Sequence

from servers.nlp.draft import Change
from servers.nlp.lists import listed, phrases
from servers.nlp.questions import is_question
from servers.nlp.words import words

_SPACES = re.compile(r"\s+")
_BEFORE_MARK = re.compile(r"\s+(?=[,.!?;:…](?:\s|$))")
_MARK = re.compile(r"[.!?…;:](?:\s|$)|,(?:\s|$)|[.!?…]$")
_FEWEST_WORDS = 2
_OPEN_ENDS = listed(
    "và rằng là của thì mà nhưng với để cho ở trong các những một hoặc hay vì do bởi tại từ đến về như khi nếu bị được"
    " sẽ đang rất cũng"
)
"""Words that no sentence ends with: the speaker goes on."""
_ENGLISH_OPEN_ENDS = listed("and or but the a an of to in on at for with that which because if is are was were")
_OPENINGS = phrases(
    "tuy nhiên|do đó|vì vậy|ngoài ra|hơn nữa|bên cạnh đó|trên thực tế|mặt khác|tóm lại|cuối cùng|đầu tiên"
    "|vì thế|nói cách khác|sau đó|trước hết"
)
_WITHIN = ("tuy", "nhiên")
"""A comma before "nhưng", "nên" or "trong khi" is wrong as often as right."""


def changes(text: str, language: str) -> Iterator[Change]:
    """Spaces that are too many, and the marks that are missing."""
    yield from sorted([*_spaces(text), *_marks(text, language)], key=lambda change: (change.start, change.end))


def _spaces(text: str) -> Iterator[Change]:
    """One space between words or one line's end, none before a mark, none at the ends of the text."""
    for match in _SPACES.finditer(text):
        edge = match.start() == 0 or match.end() == len(text)
        kept = "\n" if "\n" in match.group() else " "
        wanted = "" if edge or _BEFORE_MARK.match(text, match.start()) else kept
        if match.group() != wanted:
            yield Change(match.start(), match.end(), wanted)


def _marks(text: str, language: str) -> Iterator[Change]:
    """The marks of one sentence that has none."""
    found = words(text)
    if (
        language not in ("vi", "en")
        or len(found) < _FEWEST_WORDS
        or _MARK.search(text)
        or text[found[-1].end :].strip()
    ):
        return
    keys = [one.key for one in found]
    if language == "vi":
        yield from (Change(found[place].end, found[place].end, ",") for place in _commas(keys))
    if keys[-1] not in (_OPEN_ENDS if language == "vi" else _ENGLISH_OPEN_ENDS):
        end = found[-1].end
        yield Change(end, end, "?" if is_question(keys, language) else ".")


def _commas(keys: Sequence[str]) -> Iterator[int]:
    """The words that have a comma behind them."""
    for at in range(1, len(keys) - 2):
        if (at <= 3 and tuple(keys[: at + 1]) in _OPENINGS) or (at >= 2 and tuple(keys[at + 1 : at + 3]) == _WITHIN):
            yield at
