"""One channel to the edge, with the caller's token, a deadline on every call, and refusals in words."""

import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from opentelemetry.instrumentation.grpc import aio_client_interceptors
from opentelemetry.trace import NoOpTracerProvider, TracerProvider

from clients.cli import refusal
from clients.cli.endpoint import Endpoint
from clients.cli.patience import Patience
from clients.cli.refusal import Refusal
from clients.cli.setup import Setup

UNARY_DEADLINE_S = 15.0
DOWNLOAD_DEADLINE_S = 120.0
MAX_MESSAGE_BYTES = 64 * 1024 * 1024

Request = TypeVar("Request")
Response = TypeVar("Response")


@dataclass(frozen=True)
class Connection:
    """An open channel and the headers of every call on it."""

    channel: grpc.aio.Channel
    endpoint: Endpoint
    metadata: tuple[tuple[str, str], ...]

    async def call(
        self,
        method: Callable[..., Awaitable[Response]],
        request: Any,
        deadline_s: float = UNARY_DEADLINE_S,
    ) -> Response:
        """Calls a unary method of a stub, again when the server says that it will soon be back. Raises Refusal."""
        patience = Patience()
        while True:
            try:
                with refused_in_words(self.endpoint):
                    return await method(request, timeout=deadline_s, metadata=self.metadata)
            except Refusal as refusal:
                await patience.wait_or_raise(refusal)

    async def download(
        self,
        method: Callable[..., AsyncIterable[Response]],
        request: Any,
        deadline_s: float = DOWNLOAD_DEADLINE_S,
    ) -> AsyncIterator[Response]:
        """The messages of a server-streaming method. Raises Refusal."""
        with refused_in_words(self.endpoint):
            async for message in method(request, timeout=deadline_s, metadata=self.metadata):
                yield message


@contextlib.contextmanager
def refused_in_words(endpoint: Endpoint) -> Iterator[None]:
    """Within the block an AioRpcError becomes a Refusal."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise refusal.of(error, endpoint) from error


@contextlib.asynccontextmanager
async def connected(setup: Setup, tracers: TracerProvider | None = None) -> AsyncIterator[Connection]:
    """A connection to the edge of `setup`; nothing is sent before the first call. Raises Problem without a token.

    Each call is a span of `tracers`, and its context goes with the call.
    """
    metadata = (("authorization", f"Bearer {setup.token()}"),)
    async with _channel(setup.endpoint, tracers or NoOpTracerProvider()) as channel:
        yield Connection(channel, setup.endpoint, metadata)


def _channel(endpoint: Endpoint, tracers: TracerProvider) -> grpc.aio.Channel:
    options = [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.enable_http_proxy", 0 if endpoint.is_local else 1),
    ]
    interceptors = aio_client_interceptors(tracer_provider=tracers)
    if endpoint.tls:
        return grpc.aio.secure_channel(endpoint.target, grpc.ssl_channel_credentials(), options, None, interceptors)
    return grpc.aio.insecure_channel(endpoint.target, options, None, interceptors)
