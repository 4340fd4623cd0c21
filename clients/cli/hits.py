"""Hits of a search, with the titles of their recordings."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from ai2text.search.v1 import hit_pb2, search_service_pb2
from ai2text.search.v1.search_service_pb2_grpc import SearchServiceStub
from rich.table import Table
from rich.text import Text

from clients.cli.connection import Connection
from clients.cli.library import Library
from clients.cli.refusal import Refusal
from clients.cli.times import clock

TITLES_AT_ONCE = 8


@dataclass(frozen=True)
class Question:
    """What to look for; the fields are those of `SearchRequest`."""

    query: str
    limit: int = 10
    recording_ids: tuple[str, ...] = ()
    language_code: str = ""


@dataclass(frozen=True)
class Answer:
    """What was found, best first, and what the recordings are called."""

    hits: Sequence[hit_pb2.Hit]
    titles: dict[str, str]
    rankings: Sequence[int]

    @property
    def by_words_only(self) -> bool:
        """Whether the ranking by meaning did not take part, because the embedder is away."""
        return hit_pb2.RANKING_SEMANTIC not in self.rankings


async def search(connection: Connection, question: Question) -> Answer:
    """Asks and looks each title up once. Raises Refusal."""
    request = search_service_pb2.SearchRequest(
        query=question.query,
        limit=question.limit,
        recording_ids=question.recording_ids,
        language_code=question.language_code,
    )
    response = await connection.call(SearchServiceStub(connection.channel).Search, request)
    titles = await _titles(Library(connection), {hit.recording_id for hit in response.hits})
    return Answer(list(response.hits), titles, list(response.rankings))


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


def table(answer: Answer) -> Table:
    """The hits as people read them."""
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    shown.add_column("time", justify="right", style="cyan", no_wrap=True)
    shown.add_column("recording", overflow="fold", ratio=1)
    shown.add_column("text", overflow="fold", ratio=3)
    shown.add_column("id", style="dim", no_wrap=True)
    for hit in answer.hits:
        title = answer.titles.get(hit.recording_id, "")
        shown.add_row(clock(hit.start_ms), title, highlighted(hit.snippet), hit.recording_id[:8])
    return shown


def record(hit: hit_pb2.Hit, title: str) -> dict[str, Any]:
    """A hit as JSON writes it."""
    return {
        "recording_id": hit.recording_id,
        "title": title,
        "segment_id": hit.segment_id,
        "start_ms": hit.start_ms,
        "end_ms": hit.end_ms,
        "text": hit.snippet.text,
        "highlights": [[match.start, match.end] for match in hit.snippet.highlights],
        "score": round(hit.score, 6),
        "language_code": hit.language_code,
        "semantic_rank": hit.semantic_rank,
        "lexical_rank": hit.lexical_rank,
    }
