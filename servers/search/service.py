"""SearchService: translation between the contract and the domain, nothing else."""

from typing import Any, TypeAlias

import grpc
from ai2text.search.v1 import hit_pb2, search_service_pb2, search_service_pb2_grpc

from servers.common import identity, lifecycle
from servers.search.question import ask
from servers.search.searching import Found, Hit, Searches
from servers.search.snippets import Snippet

SCOPE = "search"

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class SearchService(search_service_pb2_grpc.SearchServiceServicer):
    """See `search_service.proto`."""

    def __init__(self, searches: Searches) -> None:
        self._searches = searches

    async def Search(
        self, request: search_service_pb2.SearchRequest, context: Context
    ) -> search_service_pb2.SearchResponse:
        """Find segments."""
        by = identity.require(context, SCOPE)
        question = ask(
            by.tenant, by.subject, request.query, request.limit, request.recording_ids, request.language_code
        )
        found = await self._searches.find(question)
        return search_service_pb2.SearchResponse(hits=map(_hit, found.hits), rankings=_rankings(found))


def _rankings(found: Found) -> list[hit_pb2.Ranking]:
    took_part = ((found.semantic, hit_pb2.RANKING_SEMANTIC), (found.lexical, hit_pb2.RANKING_LEXICAL))
    return [ranking for took, ranking in took_part if took]


def _hit(hit: Hit) -> hit_pb2.Hit:
    return hit_pb2.Hit(
        recording_id=hit.document.recording_id,
        transcript_id=hit.document.transcript_id,
        segment_id=hit.document.segment_id,
        start_ms=hit.document.start_ms,
        end_ms=hit.document.end_ms,
        snippet=_snippet(hit.snippet),
        score=hit.place.score,
        language_code=hit.document.language_code,
        semantic_rank=hit.place.semantic_rank,
        lexical_rank=hit.place.lexical_rank,
    )


def _snippet(snippet: Snippet) -> hit_pb2.Snippet:
    highlights = (hit_pb2.Highlight(start=span.start, end=span.end) for span in snippet.highlights)
    return hit_pb2.Snippet(text=snippet.text, highlights=highlights)


def mount(searches: Searches) -> lifecycle.Mount:
    """Adds SearchService to a server."""

    def add(server: grpc.aio.Server) -> str:
        search_service_pb2_grpc.add_SearchServiceServicer_to_server(SearchService(searches), server)
        return search_service_pb2.DESCRIPTOR.services_by_name["SearchService"].full_name

    return add
