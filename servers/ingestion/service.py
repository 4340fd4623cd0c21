"""IngestionService: translation between the contract and the domain, nothing else."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import grpc
from ai2text.ingestion.v1 import ingestion_service_pb2, ingestion_service_pb2_grpc
from opentelemetry import metrics

from servers.common import identity, lifecycle
from servers.common.errors import Ai2TextError
from servers.ingestion import fields, messages
from servers.ingestion.downloads import Downloads
from servers.ingestion.files import Owner
from servers.ingestion.parts import PartedUploads
from servers.ingestion.streaming import StreamedUploads

READ, WRITE = "recordings.read", "recordings.write"

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_METER = metrics.get_meter("ai2text")
UPLOADS = _METER.create_counter(
    "ai2text.ingestion.uploads", description="Files, by way (stream, parts) and outcome (stored, broken_off, a reason)."
)
BYTES = _METER.create_counter("ai2text.ingestion.bytes", unit="By", description="Bytes of files stored, by way.")


class IngestionService(ingestion_service_pb2_grpc.IngestionServiceServicer):
    """See `ingestion_service.proto`."""

    def __init__(
        self, streamed: StreamedUploads, parted: PartedUploads, downloads: Downloads, limit_bytes: int
    ) -> None:
        self._streamed = streamed
        self._parted = parted
        self._downloads = downloads
        self._limit = limit_bytes

    async def UploadRecording(
        self, request_iterator: AsyncIterator[ingestion_service_pb2.UploadRecordingRequest], context: Context
    ) -> ingestion_service_pb2.UploadRecordingResponse:
        """Take a file as a stream."""
        owner = _owner(context)
        with _counted("stream"):
            deposited = await self._streamed.take(owner, messages.pieces(request_iterator, self._limit))
        recording = messages.recording(deposited)
        BYTES.add(recording.object.size_bytes, {"way": "stream"})
        return ingestion_service_pb2.UploadRecordingResponse(recording=recording, operation=deposited.operation)

    async def CreateUpload(
        self, request: ingestion_service_pb2.CreateUploadRequest, context: Context
    ) -> ingestion_service_pb2.CreateUploadResponse:
        """Begin an upload in parts, or go on with it."""
        owner = _owner(context)
        plan = await self._parted.create(owner, messages.announced(request.file, self._limit, in_parts=True))
        return messages.plan(plan)

    async def CompleteUpload(
        self, request: ingestion_service_pb2.CompleteUploadRequest, context: Context
    ) -> ingestion_service_pb2.CompleteUploadResponse:
        """End an upload in parts."""
        owner = _owner(context)
        upload_id = fields.identifier("upload_id", request.upload_id)
        with _counted("parts"):
            deposited = await self._parted.complete(owner, upload_id)
        recording = messages.recording(deposited)
        BYTES.add(recording.object.size_bytes, {"way": "parts"})
        return ingestion_service_pb2.CompleteUploadResponse(recording=recording, operation=deposited.operation)

    async def CreateDownload(
        self, request: ingestion_service_pb2.CreateDownloadRequest, context: Context
    ) -> ingestion_service_pb2.CreateDownloadResponse:
        """Say where a file can be had."""
        owner = _owner(context, READ)
        recording_id = fields.identifier("recording_id", request.recording_id)
        return messages.download(await self._downloads.create(owner, recording_id))


def _owner(context: Context, scope: str = WRITE) -> Owner:
    caller = identity.require(context, scope)
    return Owner(fields.tenant(caller.tenant), caller.subject)


@contextmanager
def _counted(way: str) -> Iterator[None]:
    outcome = "broken_off"
    try:
        yield
        outcome = "stored"
    except Ai2TextError as error:
        outcome = error.reason.lower()
        raise
    except Exception:
        outcome = "internal"
        raise
    finally:
        UPLOADS.add(1, {"way": way, "outcome": outcome})


def mount(streamed: StreamedUploads, parted: PartedUploads, downloads: Downloads, limit_bytes: int) -> lifecycle.Mount:
    """Adds IngestionService to a server."""

    def add(server: grpc.aio.Server) -> str:
        servicer = IngestionService(streamed, parted, downloads, limit_bytes)
        ingestion_service_pb2_grpc.add_IngestionServiceServicer_to_server(servicer, server)
        return ingestion_service_pb2.DESCRIPTOR.services_by_name["IngestionService"].full_name

    return add
