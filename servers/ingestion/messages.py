"""Between the messages of the contract and the values of the domain."""

from collections.abc import AsyncIterator
from datetime import datetime

from ai2text.ingestion.v1 import ingestion_service_pb2
from ai2text.metadata.v1 import recording_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from servers.common.errors import FieldInvalid
from servers.ingestion import fields
from servers.ingestion.downloads import Download
from servers.ingestion.files import Announced, Deposited
from servers.ingestion.parts import Plan


def announced(file: ingestion_service_pb2.UploadFile, limit_bytes: int, in_parts: bool) -> Announced:
    """What the sender says of a file; FieldInvalid where that is missing or malformed."""
    return Announced(
        request_id=fields.identifier("file.request_id", file.request_id),
        title=fields.title("file.title", file.title),
        language_code=fields.language("file.language_code", file.language_code),
        labels=fields.labels("file.labels", file.labels),
        size_bytes=fields.size("file.size_bytes", file.size_bytes, limit_bytes, required=in_parts),
        sha256=fields.sha256("file.sha256", file.sha256, required=in_parts),
        crc32c=file.crc32c if file.HasField("crc32c") else None,
    )


async def pieces(
    requests: AsyncIterator[ingestion_service_pb2.UploadRecordingRequest], limit_bytes: int
) -> AsyncIterator[Announced | bytes]:
    """What an upload's messages carry."""
    async for request in requests:
        match request.WhichOneof("payload"):
            case "file":
                yield announced(request.file, limit_bytes, in_parts=False)
            case "chunk":
                yield request.chunk
            case _:
                raise FieldInvalid("payload", "is required in every message")


def recording(deposited: Deposited) -> recording_pb2.Recording:
    """The recording, which is what metadata answered."""
    assert isinstance(deposited.recording, recording_pb2.Recording)
    return deposited.recording


def plan(plan: Plan) -> ingestion_service_pb2.CreateUploadResponse:
    """What to send where."""
    return ingestion_service_pb2.CreateUploadResponse(
        upload_id=plan.upload_id,
        parts=[
            ingestion_service_pb2.UploadPart(
                part_number=part.number, offset_bytes=part.offset_bytes, size_bytes=part.size_bytes, url=part.url
            )
            for part in plan.missing
        ],
        part_count=plan.part_count,
        expire_time=_timestamp(plan.expire_time),
    )


def download(download: Download) -> ingestion_service_pb2.CreateDownloadResponse:
    """Where to get what."""
    return ingestion_service_pb2.CreateDownloadResponse(
        url=download.url,
        expire_time=_timestamp(download.expire_time),
        content_type=download.content_type,
        file_name=download.file_name,
        size_bytes=download.size_bytes,
        sha256=download.sha256,
    )


def _timestamp(time: datetime) -> Timestamp:
    written = Timestamp()
    written.FromDatetime(time)
    return written
