"""Hits of a search, with the titles of their recordings."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import grpc
from ai2text.search.v1 import explanation_pb2, hit_pb2, search_service_pb2
from ai2text.search.v1.search_service_pb2_grpc import SearchServiceStub
from rich.table import Table
from rich.text import Text

from clients.cli.connection import Connection
from clients.cli.library import Library
from clients.cli.refusal import Refusal
from clients.cli.times import full

TITLES_AT_ONCE = 8
LARGEST_PAGE = 100


@dataclass(frozen=True)
class Question:
    """What to look for; the fields are those of `SearchRequest` and its filter."""

    query: str
    limit: int = 10
    recording_ids: tuple[str, ...] = ()
    language_code: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    after: datetime | None = None
    before: datetime | None = None
    start_ms: int = 0
    end_ms: int = 0
    by_recording: bool = False
    explain: bool = False
    page_token: str = ""
    rerank: bool = False
    channels: tuple[int, ...] = ()

    def request(self) -> search_service_pb2.SearchRequest:
        """As the contract has it."""
        request = search_service_pb2.SearchRequest(
            query=self.query,
            limit=self.limit,
            recording_ids=self.recording_ids,
            language_code=self.language_code,
            page_token=self.page_token,
            group_by_recording=self.by_recording,
            explain=self.explain,
            rerank=self.rerank,
        )
        request.filter.labels.update(self.labels)
        request.filter.start_ms, request.filter.end_ms = self.start_ms, self.end_ms
        request.filter.channels.extend(self.channels)
        for name, time in (("recorded_after", self.after), ("recorded_before", self.before)):
            if time is not None:
                getattr(request.filter, name).FromDatetime(time)
        return request


@dataclass(frozen=True)
class Answer:
    """What was found, best first, and what the recordings are called."""

    hits: Sequence[hit_pb2.Hit]
    titles: dict[str, str]
    rankings: Sequence[int]
    groups: Sequence[hit_pb2.RecordingGroup] = ()
    """The same hits by recording, when they were wanted so."""
    status: int = search_service_pb2.INDEX_STATUS_READY
    next_token: str = ""
    explanation: explanation_pb2.SearchExplanation | None = None
    """Of the last page."""

    @property
    def by_words_only(self) -> bool:
        """Whether the ranking by meaning did not take part, because the embedder is away."""
        return hit_pb2.RANKING_SEMANTIC not in self.rankings

    @property
    def several_channels(self) -> bool:
        """Whether anything was said in another channel than the first."""
        return any(hit.channel for hit in self.hits)

    @property
    def building(self) -> bool:
        """Whether the index is being built, so that there may be more."""
        return self.status == search_service_pb2.INDEX_STATUS_BUILDING


async def search(connection: Connection, question: Question, every_page: bool = False) -> Answer:
    """Asks, page by page when all are wanted, and looks each title up once. Raises Refusal."""
    stub, request = SearchServiceStub(connection.channel), question.request()
    if every_page:
        request.limit = LARGEST_PAGE
    hits, groups = list[hit_pb2.Hit](), list[hit_pb2.RecordingGroup]()
    while True:
        page = await connection.call(stub.Search, request)
        groups += page.groups
        hits += [*page.hits, *(hit for group in page.groups for hit in group.hits)]
        request.page_token = page.next_page_token
        if not every_page or not page.next_page_token:
            break
    titles = await _titles(Library(connection), {hit.recording_id for hit in hits})
    explanation = page.explanation if page.HasField("explanation") else None
    return Answer(hits, titles, list(page.rankings), groups, page.index_status, page.next_page_token, explanation)


async def _titles(library: Library, recording_ids: Iterable[str]) -> dict[str, str]:
    """Titles by id. A recording that is gone, or may not be read, has none."""
    at_once = asyncio.Semaphore(TITLES_AT_ONCE)

    async def title(recording_id: str) -> tuple[str, str]:
        async with at_once:
            try:
                return recording_id, (await library.recording(recording_id)).title
            except Refusal as refusal:
                if refusal.code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED):
                    return recording_id, ""
                raise

    return dict(await asyncio.gather(*(title(recording_id) for recording_id in recording_ids)))


def highlighted(snippet: hit_pb2.Snippet, prefix: str = "") -> Text:
    """The snippet with its matches in bold. Offsets are code points, as Python counts."""
    text = Text(prefix + snippet.text)
    for match in snippet.highlights:
        text.stylize("bold yellow", len(prefix) + match.start, len(prefix) + match.end)
    return text


def table(answer: Answer, numbered: bool = False) -> Table:
    """The hits as people read them, by recording when they were wanted so; `numbered` from 1. Channels are shown when
    there are several."""
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    if numbered:
        shown.add_column("", justify="right", style="dim", no_wrap=True)
    shown.add_column("time", justify="right", style="cyan", no_wrap=True)
    if several := answer.several_channels:
        shown.add_column("channel", justify="right", no_wrap=True)
    shown.add_column("recording", overflow="fold", ratio=1)
    shown.add_column("text", overflow="fold", ratio=3)
    shown.add_column("id", style="dim", no_wrap=True)
    firsts = {group.hits[0].segment_id for group in answer.groups if group.hits}
    for number, hit in enumerate(answer.hits, 1):
        named = not answer.groups or hit.segment_id in firsts
        title, short = (answer.titles.get(hit.recording_id, ""), hit.recording_id[:8]) if named else ("", "")
        shown.add_row(
            *([str(number)] if numbered else []),
            full(hit.start_ms),
            *([str(hit.channel)] if several else []),
            Text(title),
            highlighted(hit.snippet),
            short,
        )
    return shown


def record(hit: hit_pb2.Hit, title: str) -> dict[str, Any]:
    """A hit as JSON writes it."""
    written = {
        "recording_id": hit.recording_id,
        "title": title,
        "segment_id": hit.segment_id,
        "start_ms": hit.start_ms,
        "end_ms": hit.end_ms,
        "text": hit.snippet.text,
        "highlights": [[match.start, match.end] for match in hit.snippet.highlights],
        "score": round(hit.score, 6),
        "language_code": hit.language_code,
        "channel": hit.channel,
        "semantic_rank": hit.semantic_rank,
        "lexical_rank": hit.lexical_rank,
    }
    if hit.HasField("explanation"):
        why = hit.explanation
        written["explanation"] = {
            "semantic_share": round(why.semantic_share, 6),
            "lexical_share": round(why.lexical_share, 6),
            "exact_words": list(why.exact_words),
            "folded_words": list(why.folded_words),
            **({"closeness": round(why.closeness, 6)} if why.HasField("closeness") else {}),
        }
    return written


def group_record(group: hit_pb2.RecordingGroup, title: str) -> dict[str, Any]:
    """The hits in a recording as JSON writes them."""
    return {
        "recording_id": group.recording_id,
        "title": title,
        "score": round(group.score, 6),
        "hits": [record(hit, title) for hit in group.hits],
    }
