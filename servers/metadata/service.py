"""RecordingService and TranscriptService: translation between the contract and the domain, nothing else."""

from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import grpc
from ai2text.metadata.v1 import (
    recording_service_pb2,
    recording_service_pb2_grpc,
    transcript_service_pb2,
    transcript_service_pb2_grpc,
)

from servers.common import identity, lifecycle
from servers.metadata import messages
from servers.metadata.exports import Exports
from servers.metadata.library import Library
from servers.metadata.transcripts import Transcripts

READ = "recordings.read"
WRITE = "recordings.write"

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class RecordingService(recording_service_pb2_grpc.RecordingServiceServicer):
    """See `recording_service.proto`."""

    def __init__(self, library: Library) -> None:
        self._library = library

    async def CreateRecording(
        self, request: recording_service_pb2.CreateRecordingRequest, context: Context
    ) -> recording_service_pb2.CreateRecordingResponse:
        """Register a recording."""
        caller = identity.require(context, WRITE)
        made = await self._library.create(caller.tenant, caller.subject, messages.draft(request))
        return recording_service_pb2.CreateRecordingResponse(recording=messages.recording(made))

    async def GetRecording(
        self, request: recording_service_pb2.GetRecordingRequest, context: Context
    ) -> recording_service_pb2.GetRecordingResponse:
        """Return one recording."""
        caller = identity.require(context, READ)
        found = await self._library.get(caller.tenant, request.recording_id)
        return recording_service_pb2.GetRecordingResponse(recording=messages.recording(found))

    async def ListRecordings(
        self, request: recording_service_pb2.ListRecordingsRequest, context: Context
    ) -> recording_service_pb2.ListRecordingsResponse:
        """Return a page of recordings."""
        caller = identity.require(context, READ)
        selection = messages.selection(request)
        page = await self._library.page(caller.tenant, selection, request.page_size, request.page_token)
        return recording_service_pb2.ListRecordingsResponse(
            recordings=map(messages.recording, page.items), next_page_token=page.next_token
        )

    async def UpdateRecording(
        self, request: recording_service_pb2.UpdateRecordingRequest, context: Context
    ) -> recording_service_pb2.UpdateRecordingResponse:
        """Change a recording."""
        caller = identity.require(context, WRITE)
        changed = await self._library.update(caller.tenant, messages.update(request))
        return recording_service_pb2.UpdateRecordingResponse(recording=messages.recording(changed))

    async def DeleteRecording(
        self, request: recording_service_pb2.DeleteRecordingRequest, context: Context
    ) -> recording_service_pb2.DeleteRecordingResponse:
        """Remove a recording."""
        caller = identity.require(context, WRITE)
        await self._library.delete(caller.tenant, request.recording_id, request.etag)
        return recording_service_pb2.DeleteRecordingResponse()

    async def FindObjects(
        self, request: recording_service_pb2.FindObjectsRequest, context: Context
    ) -> recording_service_pb2.FindObjectsResponse:
        """Say which objects are in use."""
        caller = identity.require(context, READ)
        used = await self._library.objects_in_use(caller.tenant, request.keys)
        return recording_service_pb2.FindObjectsResponse(keys=used)


class TranscriptService(transcript_service_pb2_grpc.TranscriptServiceServicer):
    """See `transcript_service.proto`."""

    def __init__(self, transcripts: Transcripts, exports: Exports) -> None:
        self._transcripts = transcripts
        self._exports = exports

    async def CreateTranscript(
        self, request: transcript_service_pb2.CreateTranscriptRequest, context: Context
    ) -> transcript_service_pb2.CreateTranscriptResponse:
        """Begin a transcript."""
        caller = identity.require(context, WRITE)
        made = await self._transcripts.create(
            caller.tenant,
            request.recording_id,
            request.transcript_id,
            request.model,
            request.channel,
            request.incomplete,
        )
        return transcript_service_pb2.CreateTranscriptResponse(transcript=messages.transcript(made))

    async def ListTranscripts(
        self, request: transcript_service_pb2.ListTranscriptsRequest, context: Context
    ) -> transcript_service_pb2.ListTranscriptsResponse:
        """Return the transcripts of a recording."""
        caller = identity.require(context, READ)
        found = await self._transcripts.of_recording(caller.tenant, request.recording_id)
        return transcript_service_pb2.ListTranscriptsResponse(transcripts=map(messages.transcript, found))

    async def AppendSegments(
        self, request: transcript_service_pb2.AppendSegmentsRequest, context: Context
    ) -> transcript_service_pb2.AppendSegmentsResponse:
        """Add segments to a transcript."""
        caller = identity.require(context, WRITE)
        added = await self._transcripts.append(caller.tenant, request.transcript_id, messages.segments(request))
        return transcript_service_pb2.AppendSegmentsResponse(appended_count=added)

    async def ListSegments(
        self, request: transcript_service_pb2.ListSegmentsRequest, context: Context
    ) -> transcript_service_pb2.ListSegmentsResponse:
        """Return a page of segments."""
        caller = identity.require(context, READ)
        page = await self._transcripts.page(caller.tenant, request.transcript_id, request.page_size, request.page_token)
        transcript_id = request.transcript_id.lower()
        return transcript_service_pb2.ListSegmentsResponse(
            segments=[messages.segment(transcript_id, segment) for segment in page.items],
            next_page_token=page.next_token,
        )

    async def ExportTranscript(
        self, request: transcript_service_pb2.ExportTranscriptRequest, context: Context
    ) -> AsyncIterator[transcript_service_pb2.ExportTranscriptResponse]:
        """Write what was said as a file, piece by piece."""
        caller = identity.require(context, READ)
        format = messages.export_format(request.format)
        channel = request.channel if request.HasField("channel") else None
        async for text in self._exports.write(caller.tenant, request.recording_id, format, channel):
            yield transcript_service_pb2.ExportTranscriptResponse(text=text)


def recordings(domain: Library) -> lifecycle.Mount:
    """Adds RecordingService to a server."""

    def mount(server: grpc.aio.Server) -> str:
        recording_service_pb2_grpc.add_RecordingServiceServicer_to_server(RecordingService(domain), server)
        return recording_service_pb2.DESCRIPTOR.services_by_name["RecordingService"].full_name

    return mount


def transcripts(domain: Transcripts, exports: Exports) -> lifecycle.Mount:
    """Adds TranscriptService to a server."""

    def mount(server: grpc.aio.Server) -> str:
        servicer = TranscriptService(domain, exports)
        transcript_service_pb2_grpc.add_TranscriptServiceServicer_to_server(servicer, server)
        return transcript_service_pb2.DESCRIPTOR.services_by_name["TranscriptService"].full_name

    return mount
