"""RetellingService: translation between the contract and the domain, nothing else."""

from typing import Any, TypeAlias

import grpc
from ai2text.metadata.v1 import retelling_service_pb2, retelling_service_pb2_grpc

from servers.common import identity, lifecycle
from servers.metadata.retelling import Asked, Retelling

SCOPE = "admin"

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class RetellingService(retelling_service_pb2_grpc.RetellingServiceServicer):
    """See `retelling_service.proto`."""

    def __init__(self, retelling: Retelling) -> None:
        self._retelling = retelling

    async def RetellRecordings(
        self, request: retelling_service_pb2.RetellRecordingsRequest, context: Context
    ) -> retelling_service_pb2.RetellRecordingsResponse:
        """Tell of some more."""
        identity.require(context, SCOPE)
        asked = Asked(request.tenant, request.recording_id)
        stretch = await self._retelling.go_on(asked, request.page_token)
        return retelling_service_pb2.RetellRecordingsResponse(
            recording_count=stretch.told.recordings,
            segment_count=stretch.told.segments,
            deleted_count=stretch.told.deleted,
            tenant=stretch.tenant,
            waiting_count=stretch.waiting,
            next_page_token=stretch.next_token,
        )


def mount(retelling: Retelling) -> lifecycle.Mount:
    """Adds RetellingService to a server."""

    def add(server: grpc.aio.Server) -> str:
        retelling_service_pb2_grpc.add_RetellingServiceServicer_to_server(RetellingService(retelling), server)
        return retelling_service_pb2.DESCRIPTOR.services_by_name["RetellingService"].full_name

    return add
