"""Texts made better to read: which steps, for which language, on which texts."""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from servers.common.errors import FieldInvalid, TextTooLong
from servers.nlp import accents, capitals, numbers, punctuation, tones
from servers.nlp.accents import Lexicon
from servers.nlp.draft import ORDER, Change, Draft, Edit, Step

MOST_CHARACTERS = 8192
MOST_STEPS = 32
"""In one request, which may repeat itself."""
VIETNAMESE = "vi"

DEFAULT_STEPS = frozenset(ORDER)
"""Every step made texts better when it was measured: see docs/performance.md."""

Changes: TypeAlias = Callable[[str], Iterable[Change]]

_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{2,8})*", re.IGNORECASE)
_KEPT_CONTROLS = "\t\n\r"


@dataclass(frozen=True)
class Request:
    """A text that can be refined, what its language is, and what to do."""

    text: str
    language: str = VIETNAMESE
    steps: Collection[Step] = DEFAULT_STEPS

    @classmethod
    def checked(cls, text: str, language_code: str = "", steps: Iterable[Step | None] = ()) -> "Request":
        """FieldInvalid or TextTooLong when something is wrong; a step that is None is one that nobody knows."""
        return cls(_text(text), _language(language_code), _steps(steps))


@dataclass(frozen=True)
class Refined:
    """What became of a text."""

    text: str
    edits: list[Edit] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    """Those that were applied, in their order, whether they changed something or not."""


class Refiner:
    """Pure and deterministic; takes time in proportion to the length of the text."""

    def __init__(self, lexicon: Lexicon | None) -> None:
        """Without a lexicon no accents can be restored, and that step is not applied."""
        self._lexicon = lexicon

    def refined(self, request: Request) -> Refined:
        """The text, step by step."""
        draft, applied = Draft(request.text), list[Step]()
        rules = self._rules(request.language)
        for step in ORDER:
            if step in request.steps and step in rules:
                draft.change(step, rules[step](draft.text))
                applied.append(step)
        return Refined(draft.text, draft.edits(), applied)

    def _rules(self, language: str) -> dict[Step, Changes]:
        """What each step does to a text of a language; a step without rules for it is not there."""
        rules: dict[Step, Changes] = {
            Step.TONE_PLACEMENT: tones.changes if language == VIETNAMESE else tones.composed,
            Step.PUNCTUATION: lambda text: punctuation.changes(text, language),
        }
        if language in (VIETNAMESE, "en"):
            rules[Step.CAPITALISATION] = lambda text: capitals.changes(text, language)
        if language == VIETNAMESE:
            rules[Step.NUMBERS] = numbers.changes
            lexicon = self._lexicon
            if lexicon is not None:
                rules[Step.DIACRITICS] = lambda text: accents.changes(text, lexicon)
        return rules


def _text(text: str) -> str:
    if not text.strip():
        raise FieldInvalid("text", "is empty")
    if len(text) > MOST_CHARACTERS:
        raise TextTooLong(f"text has more than {MOST_CHARACTERS} characters", limit_characters=str(MOST_CHARACTERS))
    for letter in text:
        if unicodedata.category(letter) == "Cc" and letter not in _KEPT_CONTROLS:
            raise FieldInvalid("text", f"holds the control character U+{ord(letter):04X}")
    return text


def _language(code: str) -> str:
    if code and not _LANGUAGE.fullmatch(code):
        raise FieldInvalid("language_code", "must be a code of ISO 639, such as vi")
    return code.lower().partition("-")[0] or VIETNAMESE


def _steps(steps: Iterable[Step | None]) -> frozenset[Step]:
    """No more of them are read than there may be."""
    wanted = set[Step]()
    for place, step in enumerate(steps):
        if place == MOST_STEPS:
            raise FieldInvalid("steps", f"must not hold more than {MOST_STEPS}")
        if step is None:
            raise FieldInvalid(f"steps[{place}]", "is no step that there is")
        wanted.add(step)
    return frozenset(wanted) or DEFAULT_STEPS
