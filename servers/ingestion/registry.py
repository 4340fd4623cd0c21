"""The metadata server as the Registry of the domain."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import grpc
import structlog
from ai2text.metadata.v1 import media_pb2, recording_pb2, recording_service_pb2, recording_service_pb2_grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from servers.common.errors import AlreadyExists, DependencyUnavailable, FieldInvalid, InvalidInput, RecordingNotFound
from servers.common.identity import Caller
from servers.common.retries import Retries
from servers.ingestion.files import Content, Media, Owner, Registration

log = structlog.get_logger(__name__)

T = TypeVar("T")

TIMEOUT_S = 5.0
SUBJECT = "ingestion"
"""Who asks when the server acts on its own."""

_SERVICE = recording_service_pb2.DESCRIPTOR.services_by_name["RecordingService"].full_name
_SCOPES = frozenset({"recordings.read", "recordings.write"})


class MetadataRegistry:
    """Calls go direct, not through the edge, in the name of the owner."""

    def __init__(self, channel: grpc.aio.Channel, retries: Retries | None = None) -> None:
        self._recordings = recording_service_pb2_grpc.RecordingServiceStub(channel)
        self._health = health_pb2_grpc.HealthStub(channel)
        self._retries = retries or Retries("metadata")

    async def create(self, owner: Owner, registration: Registration) -> recording_pb2.Recording:
        """See Registry."""
        request = _request(registration)
        caller = Caller(owner.tenant, owner.subject, _SCOPES)

        async def attempt() -> recording_service_pb2.CreateRecordingResponse:
            return await _translated(
                lambda: self._recordings.CreateRecording(request, timeout=TIMEOUT_S, metadata=caller.metadata())
            )

        return (await self._retries.call("create", attempt)).recording

    async def find(self, owner: Owner, recording_id: str) -> Registration | None:
        """See Registry."""
        request = recording_service_pb2.GetRecordingRequest(recording_id=recording_id)
        caller = Caller(owner.tenant, owner.subject, frozenset({"recordings.read"}))

        async def attempt() -> recording_service_pb2.GetRecordingResponse:
            return await _translated(
                lambda: self._recordings.GetRecording(request, timeout=TIMEOUT_S, metadata=caller.metadata()),
                recording_id,
            )

        return _registration((await self._retries.call("find", attempt)).recording)

    async def used(self, tenant: str, keys: Sequence[str]) -> set[str]:
        """See Registry."""
        request = recording_service_pb2.FindObjectsRequest(keys=keys)
        caller = Caller(tenant, SUBJECT, _SCOPES)

        async def attempt() -> recording_service_pb2.FindObjectsResponse:
            return await _translated(
                lambda: self._recordings.FindObjects(request, timeout=TIMEOUT_S, metadata=caller.metadata())
            )

        return set((await self._retries.call("find_objects", attempt)).keys)

    async def check(self) -> None:
        """Raise DependencyUnavailable when the metadata server is not well."""
        try:
            answer = await self._health.Check(health_pb2.HealthCheckRequest(service=_SERVICE), timeout=1.0)
        except grpc.aio.AioRpcError as error:
            raise DependencyUnavailable("metadata") from error
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            raise DependencyUnavailable("metadata")


def _request(registration: Registration) -> recording_service_pb2.CreateRecordingRequest:
    content, media = registration.content, registration.media
    return recording_service_pb2.CreateRecordingRequest(
        recording_id=registration.recording_id,
        title=registration.title,
        source=recording_pb2.RECORDING_SOURCE_FILE,
        language_code=registration.language_code,
        labels=registration.labels,
        object=media_pb2.StoredObject(
            key=registration.key, size_bytes=content.size_bytes, sha256=content.sha256, crc32c=content.crc32c
        ),
        media=media_pb2.MediaInfo(
            container=media.container,
            codec=media.codec,
            sample_rate_hz=media.sample_rate_hz,
            channel_count=media.channel_count,
            duration_ms=media.duration_ms,
        ),
    )


def _registration(recording: recording_pb2.Recording) -> Registration | None:
    """None when there is no file."""
    if not recording.object.key:
        return None
    object, media = recording.object, recording.media
    return Registration(
        recording.recording_id,
        recording.title,
        recording.language_code,
        dict(recording.labels),
        object.key,
        Content(object.size_bytes, object.sha256, object.crc32c),
        Media(media.container, media.codec, media.sample_rate_hz, media.channel_count, media.duration_ms),
    )


async def _translated(call: Callable[[], Awaitable[T]], recording_id: str = "") -> T:
    """What metadata refuses is the caller's to mend and is told as metadata tells it; all else may pass."""
    try:
        return await call()
    except grpc.aio.AioRpcError as error:
        if error.code() == grpc.StatusCode.ALREADY_EXISTS:
            raise AlreadyExists("the request_id was used for another file or title, or one since deleted") from error
        if error.code() == grpc.StatusCode.NOT_FOUND:
            raise RecordingNotFound("there is no such recording", recording_id=recording_id) from error
        if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
            raise _invalid(error) from error
        log.warning("metadata does not answer", code=error.code().name, details=error.details())
        raise DependencyUnavailable("metadata") from error


def _invalid(error: grpc.aio.AioRpcError) -> InvalidInput:
    raw = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    bad = error_details_pb2.BadRequest()
    for detail in status_pb2.Status.FromString(raw if isinstance(raw, bytes) else b"").details:
        if detail.Unpack(bad) and bad.field_violations:
            return FieldInvalid(f"file.{bad.field_violations[0].field}", bad.field_violations[0].description)
    return InvalidInput("the file cannot be registered like this")
