"""EmbeddingService: translation between the contract and the domain, nothing else."""

from typing import Any, TypeAlias

import grpc
from ai2text.embeddings.v1 import embedding_pb2, embedding_service_pb2, embedding_service_pb2_grpc

from servers.common import identity, lifecycle
from servers.embeddings.embedding import Embedder, Kind, Vector
from servers.embeddings.reranking import Reranker

SCOPE = "embeddings"

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_KINDS = {
    embedding_pb2.EMBEDDING_KIND_QUERY: Kind.QUERY,
    embedding_pb2.EMBEDDING_KIND_PASSAGE: Kind.PASSAGE,
}


class EmbeddingService(embedding_service_pb2_grpc.EmbeddingServiceServicer):
    """See `embedding_service.proto`."""

    def __init__(self, embedder: Embedder, reranker: Reranker) -> None:
        self._embedder = embedder
        self._reranker = reranker

    async def Embed(
        self, request: embedding_service_pb2.EmbedRequest, context: Context
    ) -> embedding_service_pb2.EmbedResponse:
        """Embed one text."""
        caller = identity.require(context, SCOPE)
        vector = await self._embedder.embed(caller.tenant, request.text, _KINDS.get(request.kind))
        return embedding_service_pb2.EmbedResponse(embedding=_message(vector), model=self._embedder.model)

    async def BatchEmbed(
        self, request: embedding_service_pb2.BatchEmbedRequest, context: Context
    ) -> embedding_service_pb2.BatchEmbedResponse:
        """Embed several texts of one kind."""
        caller = identity.require(context, SCOPE)
        vectors = await self._embedder.embed_all(caller.tenant, request.texts, _KINDS.get(request.kind))
        return embedding_service_pb2.BatchEmbedResponse(embeddings=map(_message, vectors), model=self._embedder.model)

    async def Rerank(
        self, request: embedding_service_pb2.RerankRequest, context: Context
    ) -> embedding_service_pb2.RerankResponse:
        """Compare texts with a query."""
        identity.require(context, SCOPE)
        scores = await self._reranker.scores(request.query, request.texts)
        return embedding_service_pb2.RerankResponse(scores=scores, model=self._reranker.model)


def _message(vector: Vector) -> embedding_pb2.Embedding:
    return embedding_pb2.Embedding(values=vector.tolist())


def mount(embedder: Embedder, reranker: Reranker) -> lifecycle.Mount:
    """Adds EmbeddingService to a server."""

    def add(server: grpc.aio.Server) -> str:
        embedding_service_pb2_grpc.add_EmbeddingServiceServicer_to_server(EmbeddingService(embedder, reranker), server)
        return embedding_service_pb2.DESCRIPTOR.services_by_name["EmbeddingService"].full_name

    return add
