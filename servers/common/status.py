"""The one place where an error becomes a gRPC status."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import grpc
import structlog
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from opentelemetry import trace

from servers.common import errors, metrics

log = structlog.get_logger(__name__)

DOMAIN = "ai2text"
REASON_PREFIX = "ERROR_REASON_"
MOST_BYTES, MOST_METADATA_BYTES = 1000, 600
"""How long a sentence of an error, and a value of its metadata, may be in UTF-8. They travel in headers, a letter as up
to nine bytes, of which clients and the edge take 8 KiB at least; a longer status would break the call itself."""

CODES: tuple[tuple[type[errors.Ai2TextError], int], ...] = (
    (errors.InvalidInput, code_pb2.INVALID_ARGUMENT),
    (errors.IdentityMissing, code_pb2.UNAUTHENTICATED),
    (errors.ScopeMissing, code_pb2.PERMISSION_DENIED),
    (errors.NotFound, code_pb2.NOT_FOUND),
    (errors.AlreadyExists, code_pb2.ALREADY_EXISTS),
    (errors.Overloaded, code_pb2.RESOURCE_EXHAUSTED),
    (errors.DependencyUnavailable, code_pb2.UNAVAILABLE),
    (errors.Draining, code_pb2.UNAVAILABLE),
    (errors.StreamIdle, code_pb2.DEADLINE_EXCEEDED),
    (errors.SessionTakenOver, code_pb2.ABORTED),
    (errors.SequenceGap, code_pb2.FAILED_PRECONDITION),
    (errors.EtagMismatch, code_pb2.ABORTED),
    (errors.ChecksumMismatch, code_pb2.DATA_LOSS),
    (errors.UploadIncomplete, code_pb2.FAILED_PRECONDITION),
    (errors.OperationRunning, code_pb2.FAILED_PRECONDITION),
    (errors.RecordingWithoutFile, code_pb2.FAILED_PRECONDITION),
    (errors.TooManyTranscripts, code_pb2.FAILED_PRECONDITION),
    (errors.FinalsForgotten, code_pb2.OUT_OF_RANGE),
)


def of(error: Exception) -> status_pb2.Status:
    """The status of an error: the table's for ours, INTERNAL with a fixed sentence for any other."""
    if not isinstance(error, errors.Ai2TextError):
        error = errors.Ai2TextError("an internal error; it is logged under the trace of this call")
    code = next((code for kind, code in CODES if isinstance(error, kind)), code_pb2.INTERNAL)
    details = [_packed(detail) for detail in _details(error)]
    return status_pb2.Status(code=code, message=_short(str(error), MOST_BYTES), details=details)


def _short(text: str, most_bytes: int) -> str:
    """The text, cut where a caller's own words made it too long."""
    encoded = text.encode(errors="replace")
    return text if len(encoded) <= most_bytes else f"{encoded[:most_bytes].decode(errors='ignore')}…"


def _details(error: errors.Ai2TextError) -> list[Message]:
    metadata = {key: _short(text, MOST_METADATA_BYTES) for key, text in error.metadata.items()}
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=REASON_PREFIX + error.reason, domain=DOMAIN, metadata=metadata)
    ]
    if error.retry_after_s is not None:
        delay = duration_pb2.Duration(nanos=0)
        delay.FromNanoseconds(int(error.retry_after_s * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    if isinstance(error, errors.FieldInvalid):
        description = _short(error.problem, MOST_BYTES)
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=description)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    return details


def _packed(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


async def _abort(context: Any, method: str, error: Exception) -> str:
    """End the call with the status of `error`; does not return. Unexpected errors are logged whole."""
    status = of(error)
    name: str = code_pb2.Code.Name(status.code)
    if isinstance(error, errors.Ai2TextError):
        log.info("call refused", method=method, code=name, reason=error.reason, message=str(error))
    else:
        log.error("call failed", method=method, exc_info=error)
        trace.get_current_span().record_exception(error)
    metrics.CALLS.count(method, name)
    await context.abort_with_status(rpc_status.to_status(status))
    raise AssertionError("abort_with_status returned")


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every handler, unary and streaming, so that servicers may simply raise; counts calls by code.

    Bytes that are no message of the method's type are refused as INVALID_ARGUMENT.
    """

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        handler: Any = await continuation(details)
        if handler is None:
            return handler
        if handler.response_streaming:
            return _streaming(handler, details.method)
        return _unary(handler, details.method)


class _Undecodable:
    """Stands for bytes that are no message: gRPC itself would answer UNKNOWN and log a traceback."""


def _decoder(deserializer: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """The same, but for bytes that are no message: they become `_Undecodable`, for `_decoded` to refuse."""
    if deserializer is None:
        return None

    def decode(content: bytes) -> Any:
        try:
            return deserializer(content)
        except DecodeError:
            return _Undecodable()

    return decode


def _message(received: Any) -> Any:
    if isinstance(received, _Undecodable):
        raise errors.FieldInvalid("request", "is not a message of the type that this method takes")
    return received


class _Messages:
    """The messages of a stream. No generator: a wait for the next one may be cancelled and begun again."""

    def __init__(self, received: AsyncIterator[Any]) -> None:
        self._stream = received
        self._received: AsyncIterator[Any] | None = None

    def __aiter__(self) -> "_Messages":
        return self

    async def __anext__(self) -> Any:
        if self._received is None:  # only now: gRPC begins to read, and a call may be refused before
            self._received = aiter(self._stream)
        return _message(await anext(self._received))


def _decoded(handler: Any, request: Any) -> Any:
    """The message, or the messages; raises FieldInvalid where bytes were none."""
    return _Messages(request) if handler.request_streaming else _message(request)


def _streaming(handler: Any, method: str) -> Any:
    inner = handler.stream_stream if handler.request_streaming else handler.unary_stream
    make = grpc.stream_stream_rpc_method_handler if handler.request_streaming else grpc.unary_stream_rpc_method_handler

    async def behaviour(request: Any, context: Any) -> AsyncIterator[Any]:
        with metrics.timed(method):
            try:
                async with aclosing(inner(_decoded(handler, request), context)) as responses:
                    async for response in responses:
                        yield response
            except (asyncio.CancelledError, grpc.aio.AbortError):
                raise
            except Exception as error:  # noqa: BLE001 - the boundary: whatever it is becomes a status
                await _abort(context, method, error)
        metrics.CALLS.count(method, "OK")

    return make(
        behaviour,
        request_deserializer=_decoder(handler.request_deserializer),
        response_serializer=handler.response_serializer,
    )


def _unary(handler: Any, method: str) -> Any:
    inner = handler.stream_unary if handler.request_streaming else handler.unary_unary
    make = grpc.stream_unary_rpc_method_handler if handler.request_streaming else grpc.unary_unary_rpc_method_handler

    async def behaviour(request: Any, context: Any) -> Any:
        with metrics.timed(method):
            try:
                response = await inner(_decoded(handler, request), context)
            except (asyncio.CancelledError, grpc.aio.AbortError):
                raise
            except Exception as error:  # noqa: BLE001 - the boundary: whatever it is becomes a status
                await _abort(context, method, error)
        metrics.CALLS.count(method, "OK")
        return response

    return make(
        behaviour,
        request_deserializer=_decoder(handler.request_deserializer),
        response_serializer=handler.response_serializer,
    )
