"""A gRPC status as a sentence: what the server refused, why, and what helps."""

from dataclasses import dataclass, field

import grpc
from google.rpc import error_details_pb2, status_pb2

from clients.cli.endpoint import Endpoint
from clients.cli.problem import Problem

DETAILS_KEY = "grpc-status-details-bin"
Code = grpc.StatusCode


@dataclass(frozen=True)
class Details:
    """What `google.rpc.Status` carries beside code and message; empty where the server sent none."""

    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    retry_after_s: float | None = None
    violations: tuple[str, ...] = ()


class Refusal(Problem):
    """A call that ended with a status other than OK."""

    def __init__(self, sentence: str, hint: str, code: grpc.StatusCode, details: Details) -> None:
        super().__init__(sentence, hint)
        self.code = code
        self.details = details


def of(error: grpc.aio.AioRpcError, endpoint: Endpoint) -> Refusal:
    """The refusal that `error` from a call to `endpoint` stands for."""
    details = details_of(error)
    sentence = f"{_sentence(error, details, endpoint)} ({_label(error.code(), details)})"
    return Refusal(sentence, _hint(error.code(), details, endpoint), error.code(), details)


def details_of(error: grpc.aio.AioRpcError) -> Details:
    """Decodes the details trailer. (`grpc_status.rpc_status` cannot: it wants a call, not an AioRpcError.)"""
    raw = next((value for key, value in error.trailing_metadata() or () if key == DETAILS_KEY), b"")
    status = status_pb2.Status.FromString(raw if isinstance(raw, bytes) else raw.encode("latin-1"))
    info, retry, bad = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo(), error_details_pb2.BadRequest()
    retry_after_s: float | None = None
    for detail in status.details:
        if detail.Unpack(retry):
            retry_after_s = retry.retry_delay.ToTimedelta().total_seconds()
        elif not detail.Unpack(info):
            detail.Unpack(bad)
    violations = tuple(f"{violation.field}: {violation.description}" for violation in bad.field_violations)
    return Details(info.reason.removeprefix("ERROR_REASON_"), dict(info.metadata), retry_after_s, violations)


def _label(code: grpc.StatusCode, details: Details) -> str:
    return f"{code.name}, {details.reason}" if details.reason else code.name


def _sentence(error: grpc.aio.AioRpcError, details: Details, endpoint: Endpoint) -> str:
    message = (error.details() or "").strip().rstrip(".")
    if _is_broken(error.code(), message):
        return f"The connection to {endpoint} broke off"
    match error.code():
        case Code.UNAVAILABLE if not details.reason:
            return f"{endpoint} does not answer: {_transport(message)}"
        case Code.UNAUTHENTICATED:
            return f"The token was not accepted: {message or 'no reason given'}"
        case Code.PERMISSION_DENIED:
            return f"The token does not allow this: {message or 'no reason given'}"
        case Code.DEADLINE_EXCEEDED if not details.reason:
            return f"{endpoint} took too long to answer"
        case Code.UNIMPLEMENTED:
            return f"{endpoint} does not know this method"
        case Code.INVALID_ARGUMENT if details.violations:
            return f"The request is not valid: {'; '.join(details.violations)}"
    return _capitalised(message) or "The call failed and the server did not say why"


def _is_broken(code: grpc.StatusCode, message: str) -> bool:
    """Whether this is no status of a server, but what gRPC makes of a stream that ended without one."""
    return code in (Code.INTERNAL, Code.UNKNOWN) and any(mark in message for mark in ("RST_STREAM", "Stream removed"))


def _transport(message: str) -> str:
    """The part of gRPC's transport message that means something to people."""
    for known in ("Connection refused", "Connection reset", "Name or service not known", "Socket closed", "timed out"):
        if known.lower() in message.lower():
            return known.lower()
    return message.rpartition("; ")[2] or "no reason given"


def _hint(code: grpc.StatusCode, details: Details, endpoint: Endpoint) -> str:
    if details.retry_after_s is not None:
        again = f"Try again in {max(details.retry_after_s, 0.1):.3g} s."
        return f"{again} `make status` shows what is down." if code is Code.UNAVAILABLE and endpoint.is_local else again
    match code:
        case Code.UNAVAILABLE if endpoint.is_local:
            return "Start the mesh with `make up`; `make status` shows what runs."
        case Code.UNAVAILABLE:
            return "Check the address (--endpoint or AI2TEXT_ENDPOINT) and the network."
        case Code.UNAUTHENTICATED:
            return "`ai2text token` mints a development token; pass one with --token or AI2TEXT_TOKEN."
        case Code.PERMISSION_DENIED:
            return "Ask for a token with that scope; `ai2text token --scope ...` mints one for development."
        case Code.NOT_FOUND if details.reason == "DEAD_LETTER_NOT_FOUND":
            return "`ai2text dlq list` shows what there is."
        case Code.NOT_FOUND if details.reason == "OPERATION_NOT_FOUND":
            return "`ai2text jobs` shows what there is."
        case Code.NOT_FOUND:
            return "`ai2text recordings list` shows what there is."
        case Code.RESOURCE_EXHAUSTED:
            return "Try again in a moment."
        case Code.UNIMPLEMENTED:
            return "Is it the edge of an AI2Text mesh, and as new as this command?"
        case Code.INTERNAL | Code.UNKNOWN | Code.DEADLINE_EXCEEDED if endpoint.is_local:
            return "`make status` shows how the mesh is; `make logs PART=...` shows why."
    return ""


def _capitalised(message: str) -> str:
    return message[:1].upper() + message[1:]
