"""The way back: where the file of a recording can be had, for a while, straight from the object store."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from servers.common.errors import RecordingWithoutFile
from servers.ingestion import containers
from servers.ingestion.files import Owner, Registration, audio_key
from servers.ingestion.inputs import Addresses, Registry, Store

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Download:
    """An address, and what is there."""

    url: str
    expire_time: datetime
    content_type: str
    file_name: str
    size_bytes: int
    sha256: bytes


class Downloads:
    """Makes such addresses. They are good for `expiry_s` seconds."""

    def __init__(self, store: Store, addresses: Addresses, registry: Registry, expiry_s: int) -> None:
        self._store = store
        self._addresses = addresses
        self._registry = registry
        self._expiry_s = expiry_s

    async def create(self, owner: Owner, recording_id: str) -> Download:
        """For the file of a recording of the owner's tenant.

        RecordingNotFound when the tenant has no such recording; RecordingWithoutFile when it never had a file, or has
        none any more; DependencyUnavailable when the store or the registry stays away.
        """
        registration = await self._registry.find(owner, recording_id)
        if registration is None:
            raise RecordingWithoutFile("the recording was spoken live: it has no file", recording_id=recording_id)
        await self._check(owner, registration)
        kind = containers.kind(registration.media)
        name = containers.file_name(registration.title, kind.ending)
        expire_time = datetime.now(UTC) + timedelta(seconds=self._expiry_s)
        url = await self._addresses.file(
            registration.key, kind.content_type, containers.disposition(name), self._expiry_s
        )
        content = registration.content
        return Download(url, expire_time, kind.content_type, name, content.size_bytes, content.sha256)

    async def _check(self, owner: Owner, registration: Registration) -> None:
        """RecordingWithoutFile unless the file is there, and is the tenant's own."""
        recording_id, key = registration.recording_id, registration.key
        if key != audio_key(owner.tenant, registration.content.sha256):
            log.error("a recording has a file that is not its tenant's", recording_id=recording_id, key=key)
        elif await self._store.head(key) is not None:
            return
        raise RecordingWithoutFile(
            "the recording's file is no longer there: it has expired, or was lost", recording_id=recording_id
        )
