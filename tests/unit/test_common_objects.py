"""The object store's client, where the real store cannot show it."""

from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from servers.common.errors import DependencyUnavailable
from servers.common.objects import ObjectStore
from servers.common.retries import Retries


class Buckets:
    """A client of a store with at most one bucket."""

    def __init__(self, refusal: str = "") -> None:
        self.refusal = refusal
        self.made: list[dict[str, Any]] = []

    async def head_bucket(self, Bucket: str) -> None:  # noqa: N803
        if code := self.refusal or ("" if self.made else "404"):
            raise ClientError({"Error": {"Code": code}}, "HeadBucket")

    async def create_bucket(self, **given: Any) -> None:
        self.made.append(given)


def store(client: Buckets, region: str) -> ObjectStore:
    return ObjectStore(cast(Any, client), cast(Any, client), "b", Retries("objects", tries=1), region)


@pytest.mark.parametrize(
    ("region", "told"),
    [
        ("", {}),
        ("us-east-1", {}),
        ("eu-central-1", {"CreateBucketConfiguration": {"LocationConstraint": "eu-central-1"}}),
    ],
)
async def test_a_missing_bucket_is_made_once_in_its_region(region: str, told: dict[str, Any]) -> None:
    client = Buckets()
    for _ in range(2):
        await store(client, region).check()
    assert client.made == [{"Bucket": "b"} | told]


async def test_a_bucket_that_may_not_be_looked_at_is_not_made() -> None:
    client = Buckets("403")
    with pytest.raises(DependencyUnavailable):
        await store(client, "").check()
    assert not client.made
