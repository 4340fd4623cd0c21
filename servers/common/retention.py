"""Rules by which an object store removes by itself what is old."""

import functools
from typing import TYPE_CHECKING, cast

from botocore.exceptions import ClientError

from servers.common.bucket import Bucket, code_of
from servers.common.retries import Retries

if TYPE_CHECKING:
    from types_aiobotocore_s3.type_defs import LifecycleRuleTypeDef


class Retention:
    """The rules of one bucket."""

    def __init__(self, bucket: Bucket, retries: Retries) -> None:
        self._bucket = bucket
        self._retries = retries

    async def expire(self, prefix: str, days: int) -> None:
        """Have the store remove what is under `prefix` after so many days; 0: never. Other rules stay."""
        await self._retries.call("expire", functools.partial(self._expire, prefix, days))

    async def _expire(self, prefix: str, days: int) -> None:
        name, client = f"ai2text-{prefix.strip('/')}", self._bucket.client
        async with self._bucket.calling(prefix):
            before = await self._rules()
            rules: list[LifecycleRuleTypeDef] = [rule for rule in before if rule.get("ID") != name]
            if days:
                rules.append(
                    {"ID": name, "Status": "Enabled", "Filter": {"Prefix": prefix}, "Expiration": {"Days": days}}
                )
            if rules:
                await client.put_bucket_lifecycle_configuration(
                    Bucket=self._bucket.name, LifecycleConfiguration={"Rules": rules}
                )
            elif before:
                await client.delete_bucket_lifecycle(Bucket=self._bucket.name)

    async def rules(self) -> "list[LifecycleRuleTypeDef]":
        """All of the bucket's, those of others too."""

        async def attempt() -> "list[LifecycleRuleTypeDef]":
            async with self._bucket.calling(""):
                return await self._rules()

        return await self._retries.call("lifecycle", attempt)

    async def _rules(self) -> "list[LifecycleRuleTypeDef]":
        try:
            answer = await self._bucket.client.get_bucket_lifecycle_configuration(Bucket=self._bucket.name)
        except ClientError as error:
            if code_of(error) == "NoSuchLifecycleConfiguration":
                return []
            raise
        return cast("list[LifecycleRuleTypeDef]", answer["Rules"])
