"""EmbeddingService: translation between the contract and the domain, nothing else."""

from typing import Any

import grpc
from ai2text.embeddings.v1 import embedding_pb2
from ai2text.embeddings.v1 import embedding_service_pb2 as pb
from ai2text.embeddings.v1 import embedding_service_pb2_grpc as pb_grpc

from servers.common import identity, lifecycle
from servers.common.errors import FieldInvalid
from servers.embeddings.embedding import Embedder, Kind, Vector

SCOPE = "embeddings"

KINDS = {embedding_pb2.EMBEDDING_KIND_QUERY: Kind.QUERY, embedding_pb2.EMBEDDING_KIND_PASSAGE: Kind.PASSAGE}


class EmbeddingService(pb_grpc.EmbeddingServiceServicer):
    """See ai2text/embeddings/v1/embedding_service.proto."""

    def __init__(self, embedder: Embedder, model: str) -> None:
        self._embedder = embedder
        self._model = model

    async def Embed(self, request: pb.EmbedRequest, context: Any) -> pb.EmbedResponse:
        identity.require(context, SCOPE)
        vector = await self._embedder.embed(request.text, _kind(request.kind))
        return pb.EmbedResponse(embedding=_message(vector), model=self._model)

    async def BatchEmbed(self, request: pb.BatchEmbedRequest, context: Any) -> pb.BatchEmbedResponse:
        identity.require(context, SCOPE)
        vectors = await self._embedder.embed_all(request.texts, _kind(request.kind))
        return pb.BatchEmbedResponse(embeddings=[_message(vector) for vector in vectors], model=self._model)


def _kind(kind: embedding_pb2.EmbeddingKind) -> Kind:
    if kind not in KINDS:
        raise FieldInvalid("kind", "must be QUERY or PASSAGE")
    return KINDS[kind]


def _message(vector: Vector) -> embedding_pb2.Embedding:
    return embedding_pb2.Embedding(values=vector.tolist())


def mount(embedder: Embedder, model: str) -> lifecycle.Mount:
    """Adds the service to a server."""

    def add(server: grpc.aio.Server) -> str:
        pb_grpc.add_EmbeddingServiceServicer_to_server(EmbeddingService(embedder, model), server)
        return pb.DESCRIPTOR.services_by_name["EmbeddingService"].full_name

    return add
