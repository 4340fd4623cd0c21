"""IndexService: translation between the contract and the domain, nothing else."""

from typing import Any, TypeAlias

import grpc
from ai2text.search.v1 import index_service_pb2, index_service_pb2_grpc

from servers.common import identity, lifecycle
from servers.search import index_messages
from servers.search.upkeep import Upkeep

SCOPE = "admin"

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class IndexService(index_service_pb2_grpc.IndexServiceServicer):
    """See `index_service.proto`."""

    def __init__(self, upkeep: Upkeep) -> None:
        self._upkeep = upkeep

    async def GetIndexStats(
        self, request: index_service_pb2.GetIndexStatsRequest, context: Context
    ) -> index_service_pb2.GetIndexStatsResponse:
        """Say how the index stands."""
        tenant = identity.require(context, SCOPE).tenant
        stats = await self._upkeep.stats(tenant)
        return index_service_pb2.GetIndexStatsResponse(stats=index_messages.stats(stats))

    async def CreateSnapshot(
        self, request: index_service_pb2.CreateSnapshotRequest, context: Context
    ) -> index_service_pb2.CreateSnapshotResponse:
        """Bring what is in no list into lists."""
        tenant = identity.require(context, SCOPE).tenant
        stats = await self._upkeep.rebuild(tenant, whole=False)
        return index_service_pb2.CreateSnapshotResponse(stats=index_messages.stats(stats))

    async def CompactIndex(
        self, request: index_service_pb2.CompactIndexRequest, context: Context
    ) -> index_service_pb2.CompactIndexResponse:
        """Write all lists anew."""
        tenant = identity.require(context, SCOPE).tenant
        stats = await self._upkeep.rebuild(tenant, whole=True)
        return index_service_pb2.CompactIndexResponse(stats=index_messages.stats(stats))

    async def UpsertDocuments(
        self, request: index_service_pb2.UpsertDocumentsRequest, context: Context
    ) -> index_service_pb2.UpsertDocumentsResponse:
        """Store segments."""
        tenant = identity.require(context, SCOPE).tenant
        await self._upkeep.store(index_messages.drafts(tenant, request.documents))
        return index_service_pb2.UpsertDocumentsResponse()

    async def DeleteDocuments(
        self, request: index_service_pb2.DeleteDocumentsRequest, context: Context
    ) -> index_service_pb2.DeleteDocumentsResponse:
        """Delete segments."""
        tenant = identity.require(context, SCOPE).tenant
        deleted = await self._upkeep.delete(tenant, request.segment_ids)
        return index_service_pb2.DeleteDocumentsResponse(deleted_count=deleted)


def mount(upkeep: Upkeep) -> lifecycle.Mount:
    """Adds IndexService to a server."""

    def add(server: grpc.aio.Server) -> str:
        index_service_pb2_grpc.add_IndexServiceServicer_to_server(IndexService(upkeep), server)
        return index_service_pb2.DESCRIPTOR.services_by_name["IndexService"].full_name

    return add
