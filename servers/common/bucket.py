"""One bucket of an object store, and how it is called: in time, and with errors of ours in place of the driver's."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import aiohttp
import structlog
from botocore.exceptions import BotoCoreError, ClientError

from servers.common.errors import DependencyUnavailable, TransferCorrupted
from servers.common.stored import ObjectMissing

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

log = structlog.get_logger(__name__)

CALL_TIMEOUT_S = 30.0
SLOWEST_BYTES_PER_S = 1 << 20
"""A transfer slower than this is given up, and tried again."""

_MISSING = frozenset({"NoSuchKey", "NoSuchUpload", "NotFound", "404"})
_CORRUPT = frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"})


class Bucket:
    """Made when it is first missed."""

    def __init__(self, client: "S3Client", name: str, region: str = "") -> None:
        self.name = name
        self.client = client
        self._region = region
        self._known = False

    async def check(self) -> None:
        """Raise DependencyUnavailable when the store does not answer, or the bucket cannot be had."""
        with translated(""):
            await self.ensure()
            await self.client.head_bucket(Bucket=self.name)

    @contextlib.asynccontextmanager
    async def calling(self, key: str, size_bytes: int = 0) -> AsyncIterator[None]:
        """The bucket is there, the deadline fits the size, and whatever is raised is ours."""
        with translated(key):
            async with asyncio.timeout(CALL_TIMEOUT_S + size_bytes / SLOWEST_BYTES_PER_S):
                await self.ensure()
                try:
                    yield
                except ClientError as error:
                    if code_of(error) == "NoSuchBucket":
                        self._known = False
                    raise

    async def ensure(self) -> None:
        """See that it is there. Raises the driver's errors."""
        if self._known:
            return
        try:
            await self.client.head_bucket(Bucket=self.name)
        except ClientError as error:
            if code_of(error) not in _MISSING | {"NoSuchBucket"}:
                raise
            await self._create()
        self._known = True

    async def _create(self) -> None:
        """AWS wants to be told of every region but its first, of which it must not be told."""
        elsewhere = self._region not in ("", "us-east-1")
        place: Any = {"CreateBucketConfiguration": {"LocationConstraint": self._region}} if elsewhere else {}
        try:
            await self.client.create_bucket(Bucket=self.name, **place)
        except ClientError as error:
            if code_of(error) not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                raise


@contextlib.contextmanager
def translated(key: str) -> Iterator[None]:
    """Foreign errors become ours; what went wrong is logged, never shown."""
    try:
        yield
    except ClientError as error:
        code = code_of(error)
        if code in _MISSING:
            raise ObjectMissing(key) from error
        if code in _CORRUPT:
            raise TransferCorrupted from error
        log.warning("object store", code=code, error=str(error))
        raise DependencyUnavailable("objects") from error
    except (BotoCoreError, aiohttp.ClientError, OSError, TimeoutError) as error:
        log.info("object store does not answer", error=repr(error))
        raise DependencyUnavailable("objects") from error


def code_of(error: ClientError) -> str:
    """What the store calls the error; empty when it does not say."""
    return error.response.get("Error", {}).get("Code", "")
