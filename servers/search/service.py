"""SearchService: translation between the contract and the domain, nothing else."""

from typing import Any, TypeAlias

import grpc
from ai2text.search.v1 import search_service_pb2, search_service_pb2_grpc

from servers.common import identity, lifecycle
from servers.search import messages
from servers.search.hot import HotQueries
from servers.search.question import ask, ask_all
from servers.search.searching import Searches

SCOPE = "search"

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class SearchService(search_service_pb2_grpc.SearchServiceServicer):
    """See `search_service.proto`."""

    def __init__(self, searches: Searches, hot: HotQueries) -> None:
        self._searches = searches
        self._hot = hot

    async def Search(
        self, request: search_service_pb2.SearchRequest, context: Context
    ) -> search_service_pb2.SearchResponse:
        """Find segments. What is found anew is kept under the name that its request had before it was looked for."""
        by = identity.require(context, SCOPE)
        question = ask(by.tenant, by.subject, messages.draft(request))
        name = self._hot.name(by.tenant, messages.asked(request))
        if question.explain:
            answer = messages.response(await self._searches.find(question), bool(question.hits_each))
            answer.explanation.cached = await self._hot.holds(name)
        elif kept := messages.kept(await self._hot.get(name)):
            answer = kept
            if self._searches.behind:  # since it was kept
                answer.index_status = search_service_pb2.INDEX_STATUS_BUILDING
        else:
            found = await self._searches.find(question)
            answer = messages.response(found, bool(question.hits_each))
            await self._hot.put(name if found.complete else None, answer.SerializeToString())
        return answer

    async def BatchSearch(
        self, request: search_service_pb2.BatchSearchRequest, context: Context
    ) -> search_service_pb2.BatchSearchResponse:
        """Find segments for several questions."""
        by = identity.require(context, SCOPE)
        questions = ask_all(by.tenant, by.subject, messages.drafts(request.requests))
        found = await self._searches.find_all(questions)
        answers = (messages.response(one, bool(of.hits_each)) for one, of in zip(found, questions, strict=True))
        return search_service_pb2.BatchSearchResponse(responses=answers)


def mount(searches: Searches, hot: HotQueries) -> lifecycle.Mount:
    """Adds SearchService to a server."""

    def add(server: grpc.aio.Server) -> str:
        search_service_pb2_grpc.add_SearchServiceServicer_to_server(SearchService(searches, hot), server)
        return search_service_pb2.DESCRIPTOR.services_by_name["SearchService"].full_name

    return add
