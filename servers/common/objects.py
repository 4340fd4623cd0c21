"""Files in an object store that speaks S3: SeaweedFS in the local mesh, any other by settings.

Every call has a deadline, is repeated with back-off while the store is away (`servers.common.retries`), and raises
DependencyUnavailable("objects") when it stays away. The store verifies each body against the CRC-32C that goes with it.
"""

import asyncio
import base64
import contextlib
import errno
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import google_crc32c
import structlog
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError

from servers.common.bucket import CALL_TIMEOUT_S, SLOWEST_BYTES_PER_S, Bucket, code_of, translated
from servers.common.errors import Overloaded, TransferCorrupted
from servers.common.presigned import Addresses
from servers.common.retention import Retention
from servers.common.retries import Retries
from servers.common.stored import ObjectInfo, ObjectMissing, PartInfo, UnfinishedUpload

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client
    from types_aiobotocore_s3.type_defs import ListMultipartUploadsOutputTypeDef, ListObjectsV2OutputTypeDef

__all__ = ["ObjectInfo", "ObjectMissing", "ObjectStore", "PartInfo", "StoreAddress", "TransferCorrupted", "connected"]

log = structlog.get_logger(__name__)

CHUNK_BYTES = 1 << 20
CONNECT_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 20.0
"""How long the store may say nothing while an answer is awaited."""
SMALL_BYTES = 1 << 20
UPLOADS_A_PAGE = 1000

_EXISTS = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


@dataclass(frozen=True)
class StoreAddress:
    """Where the store is, and as whom to call it."""

    endpoint: str
    """Such as `http://127.0.0.1:8092`; empty: AWS."""
    bucket: str
    access_key: str
    secret_key: str = field(repr=False)
    public_endpoint: str = ""
    """Where clients reach it, for presigned addresses; empty: `endpoint`."""
    region: str = "us-east-1"


class ObjectStore:
    """One bucket, which is made when it is first missed."""

    addresses: Addresses
    """For those who call the store themselves."""
    retention: Retention
    """What the store removes by itself."""

    def __init__(self, client: "S3Client", public: "S3Client", bucket: str, retries: Retries, region: str = "") -> None:
        self._client = client
        self._bucket = Bucket(client, bucket, region)
        self._retries = retries
        self.addresses = Addresses(public, bucket)
        self.retention = Retention(self._bucket, retries)

    async def check(self) -> None:
        """Raise when the store does not answer, or the bucket cannot be had."""
        await self._bucket.check()

    async def upload(
        self,
        key: str,
        opened: Callable[[], BinaryIO],
        size_bytes: int,
        crc32c: int,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Store what the file that `opened` opens (for each try anew) holds.

        TransferCorrupted when the store keeps receiving other bytes than `crc32c` says.
        """

        async def attempt() -> None:
            with opened() as body:
                async with self._bucket.calling(key, size_bytes):
                    await self._client.put_object(
                        Bucket=self._bucket.name,
                        Key=key,
                        Body=body,
                        ContentLength=size_bytes,
                        ChecksumCRC32C=_encoded(crc32c),
                        Metadata=metadata or {},
                    )

        await self._retries.call("upload", attempt)

    async def write(self, key: str, content: bytes, new: bool = False) -> bool:
        """Store a few bytes; with `new` only when there is nothing yet. Returns whether it was stored.

        A `new` write whose first try was stored, but not answered, says False: read what there is.
        """
        put = functools.partial(self._client.put_object, Bucket=self._bucket.name, Key=key, Body=content)

        async def attempt() -> bool:
            checksum = _encoded(google_crc32c.value(content))
            async with self._bucket.calling(key, len(content)):
                try:
                    await (put(ChecksumCRC32C=checksum, IfNoneMatch="*") if new else put(ChecksumCRC32C=checksum))
                except ClientError as error:
                    if new and code_of(error) in _EXISTS:
                        return False
                    raise
                return True

        return await self._retries.call("write", attempt)

    async def read(self, key: str, limit_bytes: int = SMALL_BYTES) -> bytes:
        """The content of a small object. ObjectMissing when there is none, ValueError when it exceeds the limit."""

        async def attempt() -> bytes:
            content = bytearray()
            async with aclosing(self.chunks(key)) as chunks:
                async for chunk in chunks:
                    content += chunk
                    if len(content) > limit_bytes:
                        raise ValueError(f"the object has more than {limit_bytes} bytes")
            return bytes(content)

        return await self._retries.call("read", attempt)

    async def chunks(self, key: str, chunk_bytes: int = CHUNK_BYTES) -> AsyncGenerator[bytes, None]:
        """The content in order, in pieces of at most `chunk_bytes`; tried once only. Close it when you leave early.

        ObjectMissing when there is none; TransferCorrupted at the end when they are not the bytes that were stored.
        """
        with translated(key):
            async with asyncio.timeout(CALL_TIMEOUT_S):
                await self._bucket.ensure()
                answer = await self._client.get_object(Bucket=self._bucket.name, Key=key, ChecksumMode="ENABLED")
            crc32c = 0
            async with answer["Body"] as body:
                async for chunk in body.iter_chunks(chunk_bytes):
                    crc32c = google_crc32c.extend(crc32c, chunk)
                    yield chunk
        if _decoded(answer.get("ChecksumCRC32C")) not in (None, crc32c):
            raise TransferCorrupted

    async def download(self, key: str, path: Path) -> int:
        """Write the content to the file at `path`, which is replaced; returns how many bytes it has.

        ObjectMissing when there is no such object; Overloaded, at the first try, when the disk here is full. The file
        may be half written when this raises.
        """
        size = (await self._head_once(key)).size_bytes

        async def attempt() -> int:
            with translated(key):
                async with asyncio.timeout(CALL_TIMEOUT_S + size / SLOWEST_BYTES_PER_S):
                    return await self._fetch(key, path)

        try:
            return await self._retries.call("download", attempt)
        except _DiskFull as full:
            log.error("no room for a download", key=key, path=str(path), size_bytes=size)
            raise Overloaded("there is no room on this server's disk for the file") from full

    async def _fetch(self, key: str, path: Path) -> int:
        """_DiskFull, which the retries do not know, when that is so."""
        try:
            with path.open("wb") as file:
                async with aclosing(self.chunks(key)) as chunks:  # which raises no OSError
                    async for chunk in chunks:
                        await asyncio.to_thread(file.write, chunk)
                return file.tell()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _DiskFull from error
            raise

    async def head(self, key: str) -> ObjectInfo | None:
        """What the store says about an object; None when there is none."""
        try:
            return await self._head_once(key)
        except ObjectMissing:
            return None

    async def _head_once(self, key: str) -> ObjectInfo:
        async def attempt() -> ObjectInfo:
            async with self._bucket.calling(key):
                answer = await self._client.head_object(Bucket=self._bucket.name, Key=key, ChecksumMode="ENABLED")
                return ObjectInfo(
                    key,
                    answer["ContentLength"],
                    answer["LastModified"],
                    _decoded(answer.get("ChecksumCRC32C")),
                    answer["Metadata"],
                )

        return await self._retries.call("head", attempt)

    async def delete(self, key: str) -> None:
        """Remove an object; no error when there is none."""

        async def attempt() -> None:
            async with self._bucket.calling(key):
                await self._client.delete_object(Bucket=self._bucket.name, Key=key)

        await self._retries.call("delete", attempt)

    async def copy(self, source: str, key: str, size_bytes: int, metadata: Mapping[str, str] | None = None) -> None:
        """Store the content of `source` as `key`, too, inside the store. ObjectMissing when there is no source."""

        async def attempt() -> None:
            async with self._bucket.calling(source, size_bytes):
                await self._client.copy_object(
                    Bucket=self._bucket.name,
                    Key=key,
                    CopySource={"Bucket": self._bucket.name, "Key": source},
                    MetadataDirective="REPLACE",
                    Metadata=metadata or {},
                    ChecksumAlgorithm="CRC32C",
                )

        await self._retries.call("copy", attempt)

    async def entries(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Every object whose key begins with `prefix`, in the order of the keys."""
        async for page in self._pages(prefix):
            for entry in page.get("Contents", ()):
                yield ObjectInfo(entry["Key"], entry["Size"], entry["LastModified"])

    async def folders(self, prefix: str) -> AsyncIterator[str]:
        """The prefixes one `/` deeper than `prefix`, which ends in one itself."""
        async for page in self._pages(prefix, delimiter="/"):
            for entry in page.get("CommonPrefixes", ()):
                yield entry["Prefix"]

    async def _pages(self, prefix: str, delimiter: str = "") -> AsyncIterator["ListObjectsV2OutputTypeDef"]:
        after = ""
        while True:
            page = await self._retries.call("list", functools.partial(self._page, prefix, delimiter, after))
            yield page
            if not page.get("IsTruncated"):
                return
            after = page["NextContinuationToken"]

    async def _page(self, prefix: str, delimiter: str, after: str) -> "ListObjectsV2OutputTypeDef":
        ask = functools.partial(
            self._client.list_objects_v2, Bucket=self._bucket.name, Prefix=prefix, Delimiter=delimiter
        )
        async with self._bucket.calling(prefix):
            return await (ask(ContinuationToken=after) if after else ask())

    async def create_multipart(self, key: str) -> str:
        """Begin an upload in parts; returns its id. What is never completed must be aborted."""

        async def attempt() -> str:
            async with self._bucket.calling(key):
                answer = await self._client.create_multipart_upload(Bucket=self._bucket.name, Key=key)
                return answer["UploadId"]

        return await self._retries.call("create_multipart", attempt)

    async def parts(self, key: str, multipart_id: str) -> list[PartInfo]:
        """The parts that have arrived, in order, at most 1000. ObjectMissing when there is no such upload."""

        async def attempt() -> list[PartInfo]:
            async with self._bucket.calling(key):
                answer = await self._client.list_parts(
                    Bucket=self._bucket.name, Key=key, UploadId=multipart_id, MaxParts=1000
                )
                return [PartInfo(part["PartNumber"], part["Size"], part["ETag"]) for part in answer.get("Parts", ())]

        return await self._retries.call("parts", attempt)

    async def complete_multipart(self, key: str, multipart_id: str, parts: Sequence[PartInfo]) -> None:
        """Join the parts into the object `key`. ObjectMissing when there is no such upload: perhaps it is complete."""

        async def attempt() -> None:
            async with self._bucket.calling(key, sum(part.size_bytes for part in parts)):
                await self._client.complete_multipart_upload(
                    Bucket=self._bucket.name,
                    Key=key,
                    UploadId=multipart_id,
                    MultipartUpload={"Parts": [{"PartNumber": part.number, "ETag": part.etag} for part in parts]},
                )

        await self._retries.call("complete_multipart", attempt)

    async def abort_multipart(self, key: str, multipart_id: str) -> None:
        """Forget an upload and its parts; no error when there is none."""

        async def attempt() -> None:
            async with self._bucket.calling(key):
                await self._client.abort_multipart_upload(Bucket=self._bucket.name, Key=key, UploadId=multipart_id)

        with contextlib.suppress(ObjectMissing):
            await self._retries.call("abort_multipart", attempt)

    async def unfinished(self, prefix: str) -> list[UnfinishedUpload]:
        """All uploads in parts that go on and whose key begins with `prefix`."""
        found: list[UnfinishedUpload] = []
        markers: dict[str, str] = {}
        while True:
            page = await self._retries.call("unfinished", functools.partial(self._unfinished_page, prefix, markers))
            found += [
                UnfinishedUpload(upload["Key"], upload["UploadId"], upload["Initiated"])
                for upload in page.get("Uploads", ())
            ]
            # SeaweedFS names an upload to go on from and no key, and with a key it would find that one's alone.
            told = {"KeyMarker": page.get("NextKeyMarker"), "UploadIdMarker": page.get("NextUploadIdMarker")}
            before, markers = markers, {name: marker for name, marker in told.items() if marker}
            if not page.get("IsTruncated") or markers in ({}, before):
                return found

    async def _unfinished_page(self, prefix: str, markers: Mapping[str, Any]) -> "ListMultipartUploadsOutputTypeDef":
        async with self._bucket.calling(prefix):
            return await self._client.list_multipart_uploads(
                Bucket=self._bucket.name, Prefix=prefix, MaxUploads=UPLOADS_A_PAGE, **markers
            )


@asynccontextmanager
async def connected(address: StoreAddress, retries: Retries | None = None) -> AsyncIterator[ObjectStore]:
    """A store whose connections are closed at the end of the block; it connects at the first call.

    At most 32 connections, made when they are needed and closed when they have been idle. botocore's own retries are
    off, since ours count; its own checksums are off, since ours are reckoned outside the event loop.
    """
    config = AioConfig(
        signature_version="s3v4",
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        max_pool_connections=32,
        retries={"total_max_attempts": 1, "mode": "standard"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path", "payload_signing_enabled": False},
    )
    async with AsyncExitStack() as stack:

        async def client(endpoint: str) -> "S3Client":
            return await stack.enter_async_context(
                get_session().create_client(
                    "s3",
                    endpoint_url=endpoint or None,
                    aws_access_key_id=address.access_key,
                    aws_secret_access_key=address.secret_key,
                    region_name=address.region or None,
                    config=config,
                )
            )

        own = await client(address.endpoint)
        public = await client(address.public_endpoint) if address.public_endpoint else own
        yield ObjectStore(own, public, address.bucket, retries or Retries("objects"), address.region)


class _DiskFull(Exception):
    """There is no room for what comes from the store."""


def _encoded(crc32c: int) -> str:
    return base64.b64encode(crc32c.to_bytes(4, "big")).decode()


def _decoded(crc32c: str | None) -> int | None:
    return int.from_bytes(base64.b64decode(crc32c), "big") if crc32c else None
