"""LiveSessionService: translation between the contract and the domain, nothing else."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc
from ai2text.asr.v1 import live_session_service_pb2 as pb
from ai2text.asr.v1 import live_session_service_pb2_grpc as pb_grpc

from servers.asr import requests, responses
from servers.asr.pushing import Beginning, PushedSessions
from servers.common import identity, lifecycle
from servers.common.errors import FieldInvalid

SCOPE = "speech"


class LiveSessionService(pb_grpc.LiveSessionServiceServicer):
    """See ai2text/asr/v1/live_session_service.proto."""

    def __init__(self, sessions: PushedSessions) -> None:
        self._sessions = sessions

    async def OpenSession(self, request: pb.OpenSessionRequest, context: Any) -> pb.OpenSessionResponse:
        caller = identity.require(context, SCOPE)
        return pb.OpenSessionResponse(session=await self._sessions.open(caller, _beginning(request)))

    async def PushAudio(self, request: pb.PushAudioRequest, context: Any) -> pb.PushAudioResponse:
        caller = identity.require(context, SCOPE)
        session = self._sessions.find(caller, request.session_id, request.resume_token)
        next_sequence = await session.push(_piece(request))
        credit = responses.duration(session.credit_ms / 1000)
        return pb.PushAudioResponse(next_sequence=next_sequence, cursors=session.cursors, credit=credit)

    async def WatchSession(
        self, request: pb.WatchSessionRequest, context: Any
    ) -> AsyncIterator[pb.WatchSessionResponse]:
        caller = identity.require(context, SCOPE)
        session = self._sessions.find(caller, request.session_id, request.resume_token)
        async with aclosing(session.watch(request.next_final_index)) as events:
            async for event in events:
                yield pb.WatchSessionResponse(event=event)

    async def CloseSession(self, request: pb.CloseSessionRequest, context: Any) -> pb.CloseSessionResponse:
        caller = identity.require(context, SCOPE)
        session = self._sessions.find(caller, request.session_id, request.resume_token)
        await session.close()
        return pb.CloseSessionResponse(cursors=session.cursors)


def _beginning(request: pb.OpenSessionRequest) -> Beginning:
    match request.WhichOneof("start"):
        case "config":
            return request.config
        case "resume":
            return request.resume
    raise FieldInvalid("start", "is missing")


def _piece(request: pb.PushAudioRequest) -> pb.PushAudioRequest:
    """A piece that may be taken: what is wrong with it is said now, in its own call, and the session goes on."""
    if request.WhichOneof("payload") is None:
        raise FieldInvalid("payload", "is missing")
    requests.chunk(request.audio)
    return request


def mount(sessions: PushedSessions) -> lifecycle.Mount:
    """Adds the service to a server."""

    def add(server: grpc.aio.Server) -> str:
        pb_grpc.add_LiveSessionServiceServicer_to_server(LiveSessionService(sessions), server)
        return pb.DESCRIPTOR.services_by_name["LiveSessionService"].full_name

    return add
