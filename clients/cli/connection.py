"""One channel to the edge, with the caller's token, a deadline on every call, and refusals in words."""

import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from opentelemetry import propagate, trace
from opentelemetry.instrumentation.grpc import aio_client_interceptors

from clients.cli import refusal
from clients.cli.endpoint import Endpoint
from clients.cli.patience import Patience
from clients.cli.refusal import Refusal
from clients.cli.setup import Setup

UNARY_DEADLINE_S = 15.0
DOWNLOAD_DEADLINE_S = 120.0
MAX_MESSAGE_BYTES = 64 * 1024 * 1024

KEEPALIVE_MS, KEEPALIVE_TIMEOUT_MS = 6_000, 4_000
"""A connection that is dead is noticed within ten seconds. Our servers allow a ping every five."""

Request = TypeVar("Request")
Response = TypeVar("Response")


@dataclass(frozen=True)
class Connection:
    """An open channel and the headers of every call on it."""

    channel: grpc.aio.Channel
    endpoint: Endpoint
    metadata: tuple[tuple[str, str], ...]
    tracers: trace.TracerProvider

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
    def traced(self, name: str) -> Iterator[tuple[tuple[str, str], ...]]:
        """A span around the block, for a stream in both directions; gives the metadata of its call."""
        span = self.tracers.get_tracer(__name__).start_span(name, kind=trace.SpanKind.CLIENT)
        context: dict[str, str] = {}
        propagate.inject(context, trace.set_span_in_context(span))
        try:
            yield (*self.metadata, *context.items())
        finally:
            span.end()


Connect = Callable[[], contextlib.AbstractAsyncContextManager[Connection]]
"""Opens another connection to the edge, with a token that is valid now; raises Problem."""


@contextlib.contextmanager
def refused_in_words(endpoint: Endpoint) -> Iterator[None]:
    """Within the block an AioRpcError becomes a Refusal."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise refusal.of(error, endpoint) from error


@contextlib.asynccontextmanager
async def connected(setup: Setup, tracers: trace.TracerProvider | None = None) -> AsyncIterator[Connection]:
    """A connection to the edge of `setup`; nothing is sent before the first call. Raises Problem without a token.

    Each call is a span of `tracers`, and its context goes with the call.
    """
    metadata = (("authorization", f"Bearer {setup.token()}"),)
    tracers = tracers or trace.NoOpTracerProvider()
    async with _channel(setup.endpoint, tracers) as channel:
        yield Connection(channel, setup.endpoint, metadata, tracers)


def _channel(endpoint: Endpoint, tracers: trace.TracerProvider) -> grpc.aio.Channel:
    options = [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_MS),  # for pings that measure the line: others wait for them
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.use_local_subchannel_pool", 1),  # channels would share a connection, also one that is dead
        ("grpc.enable_http_proxy", 0 if endpoint.is_local else 1),
    ]
    interceptors = _interceptors(tracers)
    if endpoint.tls:
        return grpc.aio.secure_channel(endpoint.target, grpc.ssl_channel_credentials(), options, None, interceptors)
    return grpc.aio.insecure_channel(endpoint.target, options, None, interceptors)


def _interceptors(tracers: trace.TracerProvider) -> list[grpc.aio.ClientInterceptor]:
    """Spans for all calls but streams in both directions: an interceptor of those never lets go of a call that ended.

    See `Connection.traced` for these.
    """
    every = aio_client_interceptors(tracer_provider=tracers)
    return [one for one in every if not isinstance(one, grpc.aio.StreamStreamClientInterceptor)]
