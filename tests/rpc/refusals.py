"""What a refused call says: code, reason, field, retry."""

from collections.abc import AsyncIterable, Awaitable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2


@dataclass(frozen=True)
class Refusal:
    """The status of a call that failed."""

    code: grpc.StatusCode
    reason: str
    metadata: dict[str, str]
    retry_s: float | None
    message: str
    field: str = ""
    """The first that BadRequest names; empty when it names none."""


async def refusal(call: Awaitable[Any] | AsyncIterable[Any]) -> Refusal:
    """Make the call to its end and return what it failed with."""
    with pytest.raises(grpc.aio.AioRpcError) as info:
        await _exhausted(call)
    return of(info.value)


async def _exhausted(call: Awaitable[Any] | AsyncIterable[Any]) -> None:
    if not isinstance(call, AsyncIterable):
        await call
        return
    async for _ in call:
        pass


def of(error: grpc.aio.AioRpcError) -> Refusal:
    """The refusal behind an error; fails when it carries no ErrorInfo."""
    raw = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
    info, retry, bad = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo(), error_details_pb2.BadRequest()
    retry_s = None
    for detail in status_pb2.Status.FromString(raw).details:
        detail.Unpack(info)
        detail.Unpack(bad)
        if detail.Unpack(retry):
            retry_s = retry.retry_delay.ToNanoseconds() / 1e9
    assert info.domain == "ai2text"
    reason = info.reason.removeprefix("ERROR_REASON_")
    field = bad.field_violations[0].field if bad.field_violations else ""
    return Refusal(error.code(), reason, dict(info.metadata), retry_s, error.details() or "", field)
