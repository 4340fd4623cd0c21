"""What no client of ours sends, to each kind of method: bytes that are no message, and headers that are very long."""

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2

from servers.common import lifecycle
from tests.rpc.refusals import refusal

NO_MESSAGE = b"\x0a\xff\xff"
"""A string field that ends before it has begun."""
NO_TEXT = b"\x0a\x02\xff\xfe"
"""A string field whose bytes are not UTF-8."""
MESSAGE = operations_pb2.GetOperationRequest(name="x").SerializeToString()

Request = operations_pb2.GetOperationRequest


async def _one(request: Request, _context: Any) -> Request:
    return request


async def _echo(request: Request, _context: Any) -> AsyncIterator[Request]:
    yield request


async def _last(requests: AsyncIterator[Request], _context: Any) -> Request:
    return [request async for request in requests][-1]


async def _each(requests: AsyncIterator[Request], _context: Any) -> AsyncIterator[Request]:
    async for request in requests:
        yield request


def _mount(server: grpc.aio.Server) -> str:
    kinds: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
        "UnaryUnary": (grpc.unary_unary_rpc_method_handler, _one),
        "UnaryStream": (grpc.unary_stream_rpc_method_handler, _echo),
        "StreamUnary": (grpc.stream_unary_rpc_method_handler, _last),
        "StreamStream": (grpc.stream_stream_rpc_method_handler, _each),
    }
    handlers = {
        name: make(behaviour, request_deserializer=Request.FromString, response_serializer=Request.SerializeToString)
        for name, (make, behaviour) in kinds.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
    return "test.Echo"


@pytest.fixture
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    server, _, _ = lifecycle.build([_mount])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


@pytest.mark.parametrize("content", [NO_MESSAGE, NO_TEXT])
@pytest.mark.parametrize("method", ["UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream"])
async def test_bytes_that_are_no_message_are_refused(
    channel: grpc.aio.Channel, caplog: pytest.LogCaptureFixture, method: str, content: bytes
) -> None:
    first = [MESSAGE] if method.startswith("Stream") else []
    with caplog.at_level(logging.ERROR):
        refused = await refusal(channel.stream_stream(f"/test.Echo/{method}")(iter([*first, content])))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refused.field == "request"
    assert not caplog.records


@pytest.mark.parametrize("method", ["UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream"])
async def test_messages_pass_as_they_are(channel: grpc.aio.Channel, method: str) -> None:
    sent = [MESSAGE, MESSAGE] if method == "StreamStream" else [MESSAGE]
    answers = [answer async for answer in channel.stream_stream(f"/test.Echo/{method}")(iter(sent))]
    assert answers == sent


async def test_headers_as_long_as_the_edge_lets_through_are_taken(channel: grpc.aio.Channel) -> None:
    metadata = (("x-envoy-original-path", "/v1/search?query=" + "a" * 60_000),)
    for _ in range(20):  # gRPC refuses at random what lies between its two bounds
        assert await channel.unary_unary("/test.Echo/UnaryUnary")(MESSAGE, metadata=metadata, timeout=10) == MESSAGE
