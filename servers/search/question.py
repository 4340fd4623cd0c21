"""What a caller asks for, checked."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from servers.common.errors import FieldInvalid
from servers.search.documents import Scope
from servers.search.words import Word, words

MOST_CHARACTERS = 1000
MOST_HITS = 100
DEFAULT_HITS = 10
MOST_RECORDINGS = 100

_LANGUAGE = re.compile(r"[a-z]{2,3}")


@dataclass(frozen=True, slots=True)
class Question:
    """A search: its text, the words of it, where to look, and how many hits are wanted."""

    text: str
    words: tuple[Word, ...]
    scope: Scope
    limit: int
    subject: str
    """Who asks."""


def ask(
    tenant: str, subject: str, query: str, limit: int, recording_ids: Sequence[str], language_code: str
) -> Question:
    """A question that keeps the limits of the contract; FieldInvalid names the field that does not."""
    text = query.strip()
    if not text:
        raise FieldInvalid("query", "is empty")
    if len(text) > MOST_CHARACTERS:
        raise FieldInvalid("query", f"has more than {MOST_CHARACTERS} characters")
    if limit > MOST_HITS:
        raise FieldInvalid("limit", f"must be 1 to {MOST_HITS}")
    scope = Scope(tenant, _recordings(recording_ids), _language(language_code))
    return Question(text, tuple(words(text)), scope, limit or DEFAULT_HITS, subject)


def _recordings(recording_ids: Sequence[str]) -> tuple[str, ...]:
    if len(recording_ids) > MOST_RECORDINGS:
        raise FieldInvalid("recording_ids", f"must hold at most {MOST_RECORDINGS}")
    if not all(recording_ids):
        raise FieldInvalid("recording_ids", "must not hold an empty one")
    return tuple(dict.fromkeys(recording_id.lower() for recording_id in recording_ids))


def _language(language_code: str) -> str:
    if language_code and not _LANGUAGE.fullmatch(language_code):
        raise FieldInvalid("language_code", "must be an ISO 639 code such as vi")
    return language_code
