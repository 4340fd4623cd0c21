"""The embeddings server as the QueryEmbedder and the TextComparer of the domain."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import grpc
import numpy as np
import structlog
from ai2text.embeddings.v1 import embedding_pb2, embedding_service_pb2, embedding_service_pb2_grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from servers.common.errors import DependencyUnavailable
from servers.common.identity import Caller
from servers.search.candidates import EmbedderHangs
from servers.search.documents import Embedding

log = structlog.get_logger(__name__)

T = TypeVar("T")

_SERVICE = embedding_service_pb2.DESCRIPTOR.services_by_name["EmbeddingService"].full_name
_SCOPES = frozenset({"embeddings"})


class RemoteEmbedder:
    """Calls go direct, not through the edge, in the name of the caller; `timeout_s` is the deadline of one."""

    def __init__(self, channel: grpc.aio.Channel, timeout_s: float) -> None:
        self._embeddings = embedding_service_pb2_grpc.EmbeddingServiceStub(channel)
        self._health = health_pb2_grpc.HealthStub(channel)
        self._timeout_s = timeout_s

    async def embed(self, text: str, tenant: str, subject: str) -> Embedding:
        """See QueryEmbedder."""
        request = embedding_service_pb2.EmbedRequest(text=text, kind=embedding_pb2.EMBEDDING_KIND_QUERY)
        response = await self._call(self._embeddings.Embed, request, tenant, subject)
        return Embedding(response.model, np.array(response.embedding.values, np.float32))

    async def embed_all(self, texts: Sequence[str], tenant: str, subject: str) -> list[Embedding]:
        """See QueryEmbedder."""
        kind = embedding_pb2.EMBEDDING_KIND_QUERY
        request = embedding_service_pb2.BatchEmbedRequest(texts=texts, kind=kind)
        response = await self._call(self._embeddings.BatchEmbed, request, tenant, subject)
        return [Embedding(response.model, np.array(one.values, np.float32)) for one in response.embeddings]

    async def closeness(self, query: str, texts: Sequence[str], tenant: str, subject: str) -> list[float]:
        """See TextComparer."""
        request = embedding_service_pb2.RerankRequest(query=query, texts=texts)
        response = await self._call(self._embeddings.Rerank, request, tenant, subject)
        return list(response.scores)

    async def _call(self, method: Callable[..., Awaitable[T]], request: Message, tenant: str, subject: str) -> T:
        caller = Caller(tenant, subject, _SCOPES)
        try:
            return await method(request, timeout=self._timeout_s, metadata=caller.metadata())
        except grpc.aio.AioRpcError as error:
            kind, code = request.DESCRIPTOR.name, error.code().name
            log.warning("embeddings does not answer", request=kind, code=code, details=error.details())
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise EmbedderHangs from error
            raise DependencyUnavailable("embeddings") from error

    async def check(self) -> None:
        """Raise DependencyUnavailable when the embeddings server is not well."""
        try:
            answer = await self._health.Check(health_pb2.HealthCheckRequest(service=_SERVICE), timeout=1.0)
        except grpc.aio.AioRpcError as error:
            raise DependencyUnavailable("embeddings") from error
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            raise DependencyUnavailable("embeddings")
