"""What a caller asks for, checked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from servers.common.errors import FieldInvalid, PageTokenInvalid
from servers.search import narrowing, paging
from servers.search.documents import Scope
from servers.search.narrowing import Conditions, Span
from servers.search.query import Query, parsed

MOST_CHARACTERS = 1000
MOST_HITS = 100
DEFAULT_HITS = 10
MOST_RECORDINGS = 100
MOST_HITS_EACH = 10
DEFAULT_HITS_EACH = 3
MOST_REQUESTS = 32

_LANGUAGE = re.compile(r"[a-z]{2,3}")


@dataclass(frozen=True, slots=True)
class Draft:
    """What a request says; nothing is checked yet. What is 0 or empty was not given."""

    query: str
    limit: int = 0
    recording_ids: Sequence[str] = ()
    language_code: str = ""
    page_token: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    created_from_us: int | None = None
    created_before_us: int | None = None
    start_ms: int = 0
    end_ms: int = 0
    by_recording: bool = False
    hits_each: int = 0
    explain: bool = False
    rerank: bool = False
    channels: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """A search: what for, where to look, and how many hits are wanted."""

    query: Query
    scope: Scope
    limit: int
    """How many hits, or recordings."""

    subject: str
    """Who asks."""

    conditions: Conditions = field(default_factory=Conditions)
    span: Span | None = None
    hits_each: int = 0
    """How many hits of a recording, when they are wanted by recording; else 0."""

    name: str = ""
    """Names all that pages of one answer have in common."""

    given: tuple[int, ...] = ()
    """The marks of what earlier pages had; see `servers.search.paging`."""

    explain: bool = False
    rerank: bool = False
    channels: tuple[int, ...] = ()
    """Of which a hit must be, ascending; empty: all."""

    @property
    def wanted(self) -> int:
        """How many hits, or recordings, this page may have: with all before it no more than there may be."""
        return min(self.limit, paging.MOST_GIVEN - len(self.given))


def ask(tenant: str, subject: str, draft: Draft) -> Question:
    """A question that keeps the limits of the contract; FieldInvalid names the field that does not, PageTokenInvalid
    says that the token was made for another one."""
    text = draft.query.strip()
    if not text:
        raise FieldInvalid("query", "is empty")
    if len(text) > MOST_CHARACTERS:
        raise FieldInvalid("query", f"has more than {MOST_CHARACTERS} characters")
    if draft.limit > MOST_HITS:
        raise FieldInvalid("limit", f"must be 1 to {MOST_HITS}")
    scope = Scope(tenant, _recordings(draft.recording_ids), _language(draft.language_code))
    conditions = narrowing.conditions(draft.labels, draft.created_from_us, draft.created_before_us)
    span = narrowing.span(draft.start_ms, draft.end_ms, bool(scope.recording_ids))
    hits_each = _hits_each(draft)
    channels = narrowing.channels(draft.channels)
    name = repr((text, scope, conditions, span, hits_each, draft.rerank, channels))
    given = paging.given(name, draft.page_token)
    limit = draft.limit or DEFAULT_HITS
    return Question(
        parsed(text),
        scope,
        limit,
        subject,
        conditions,
        span,
        hits_each,
        name,
        given,
        draft.explain,
        draft.rerank,
        channels,
    )


def check_count(requests: int) -> None:
    """Whether a batch may have so many requests: FieldInvalid. To be asked before any of them is read."""
    if not 1 <= requests <= MOST_REQUESTS:
        raise FieldInvalid("requests", f"must hold 1 to {MOST_REQUESTS}, not {requests}")


def ask_all(tenant: str, subject: str, drafts: Sequence[Draft]) -> list[Question]:
    """The questions of a batch; errors name the field of the request that is wrong."""
    check_count(len(drafts))
    return [_one_of_all(number, tenant, subject, draft) for number, draft in enumerate(drafts)]


def _one_of_all(number: int, tenant: str, subject: str, draft: Draft) -> Question:
    within = f"requests[{number}]"
    try:
        return ask(tenant, subject, draft)
    except FieldInvalid as error:
        raise FieldInvalid(f"{within}.{error.field}", error.problem) from error
    except PageTokenInvalid as error:
        raise PageTokenInvalid(f"{within}.{error}", field=f"{within}.page_token") from error


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


def _hits_each(draft: Draft) -> int:
    """How many hits of a recording are wanted; 0 when they are not wanted by recording."""
    if draft.hits_each and not draft.by_recording:
        raise FieldInvalid("hits_per_recording", "is only for group_by_recording")
    if draft.hits_each > MOST_HITS_EACH:
        raise FieldInvalid("hits_per_recording", f"must be 1 to {MOST_HITS_EACH}")
    return (draft.hits_each or DEFAULT_HITS_EACH) if draft.by_recording else 0
