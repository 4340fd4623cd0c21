"""Addresses at which whoever has them may do one thing to one object, until they expire, and nothing else.

They are reckoned here from the store's secret key: the store is not asked, and nobody can take one back. They name the
store as clients reach it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client


class Addresses:
    """Of the objects in one bucket."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        """`client` calls the store where clients reach it; with it nothing is called."""
        self._client = client
        self._bucket = bucket

    async def part(self, key: str, multipart_id: str, number: int, size_bytes: int, expires_s: int) -> str:
        """Where to PUT a part of just that size, for `expires_s` seconds."""
        return await self._client.generate_presigned_url(
            "upload_part",
            Params={
                "Bucket": self._bucket,
                "Key": key,
                "UploadId": multipart_id,
                "PartNumber": number,
                "ContentLength": size_bytes,
            },
            ExpiresIn=expires_s,
        )

    async def file(self, key: str, content_type: str, disposition: str, expires_s: int) -> str:
        """Where to GET an object, or a range of it, for `expires_s` seconds; HEAD is refused.

        The store answers with these values of Content-Type and Content-Disposition, whatever it was told before.
        """
        return await self._client.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self._bucket,
                "Key": key,
                "ResponseContentType": content_type,
                "ResponseContentDisposition": disposition,
            },
            ExpiresIn=expires_s,
        )
