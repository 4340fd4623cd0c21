"""Channels to other servers of the mesh: traced, kept alive, and never without a deadline."""

from collections.abc import Callable
from typing import Any

import grpc
from opentelemetry.instrumentation.grpc import aio_client_interceptors, filters

MAX_MESSAGE_BYTES = 64 * 1024 * 1024

OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
)


class DefaultDeadline(
    grpc.aio.UnaryUnaryClientInterceptor,  # type: ignore[type-arg, unused-ignore]
):
    """Gives a unary call that names no timeout this one, in seconds."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s

    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        if client_call_details.timeout is None:
            client_call_details = grpc.aio.ClientCallDetails(
                client_call_details.method,
                self._timeout_s,
                client_call_details.metadata,
                client_call_details.credentials,
                client_call_details.wait_for_ready,
            )
        return await continuation(client_call_details, request)


def connect(target: str, timeout_s: float = 5.0) -> grpc.aio.Channel:
    """A channel to `host:port`; it connects at the first call and again whenever the connection is lost."""
    probes = filters.any_of(filters.health_check(), filters.method_name("ModelReady"))
    traced = aio_client_interceptors(filter_=filters.negate(probes))
    return grpc.aio.insecure_channel(target, options=OPTIONS, interceptors=[*traced, DefaultDeadline(timeout_s)])
