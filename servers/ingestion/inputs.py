"""What the domain needs from outside, as it wants to see it."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import BinaryIO, Protocol

from servers.common.stored import ObjectInfo, PartInfo, UnfinishedUpload
from servers.ingestion.files import Media, Owner, Registration


class Store(Protocol):
    """An object store; see `servers.common.objects`. DependencyUnavailable while it is away."""

    async def upload(
        self,
        key: str,
        opened: Callable[[], BinaryIO],
        size_bytes: int,
        crc32c: int,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Store what the opened file holds."""

    async def write(self, key: str, content: bytes, new: bool = False) -> bool:
        """Store a few bytes; with `new` only when there is nothing yet. Returns whether it was stored."""

    async def read(self, key: str) -> bytes:
        """The content of a small object. ObjectMissing when there is none."""

    def chunks(self, key: str) -> AsyncGenerator[bytes, None]:
        """The content in order, tried once. ObjectMissing when there is none."""

    async def head(self, key: str) -> ObjectInfo | None:
        """What the store says about an object; None when there is none."""

    async def delete(self, key: str) -> None:
        """Remove an object; no error when there is none."""

    def entries(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Every object whose key begins so."""

    def folders(self, prefix: str) -> AsyncIterator[str]:
        """The prefixes one `/` deeper."""

    async def create_multipart(self, key: str) -> str:
        """Begin an upload in parts; returns its id."""

    async def parts(self, key: str, multipart_id: str) -> list[PartInfo]:
        """The parts that have arrived. ObjectMissing when there is no such upload."""

    async def complete_multipart(self, key: str, multipart_id: str, parts: Sequence[PartInfo]) -> None:
        """Join the parts. ObjectMissing when there is no such upload."""

    async def abort_multipart(self, key: str, multipart_id: str) -> None:
        """Forget an upload and its parts; no error when there is none."""

    async def unfinished(self, prefix: str) -> list[UnfinishedUpload]:
        """Uploads in parts that were neither completed nor aborted."""


class Addresses(Protocol):
    """Presigned addresses; see `servers.common.presigned`. To reckon one takes no call, so it cannot fail."""

    async def part(self, key: str, multipart_id: str, number: int, size_bytes: int, expires_s: int) -> str:
        """Where anybody may PUT a part of just that size."""

    async def file(self, key: str, content_type: str, disposition: str, expires_s: int) -> str:
        """Where anybody may GET an object, told as of that type and disposition."""


class Registry(Protocol):
    """Where recordings are kept. DependencyUnavailable while it is away."""

    async def create(self, owner: Owner, registration: Registration) -> object:
        """The recording, new or as the same call made it before. AlreadyExists when another has its id."""

    async def find(self, owner: Owner, recording_id: str) -> Registration | None:
        """What is registered of the recording; None when it has no file. RecordingNotFound when there is none."""

    async def used(self, tenant: str, keys: Sequence[str]) -> set[str]:
        """Those of at most 1000 objects that a recording of the tenant has."""


class Prober(Protocol):
    """Looks into files."""

    async def probe(self, opened: Callable[[], BinaryIO]) -> Media:
        """What is in the file. AudioUndecodable when there is no audio in it, AudioTooLarge when it is too long.

        Overloaded when it cannot be looked through in time.
        """
