"""Statuses as sentences: what is said, and what is advised."""

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from clients.cli import refusal
from clients.cli.endpoint import Endpoint
from clients.cli.problem import UsageProblem
from servers.common import errors, status

LOCAL = Endpoint.parse("http://127.0.0.1:8080")
REMOTE = Endpoint.parse("https://speech.example.org")
Code = grpc.StatusCode


def failed(code: grpc.StatusCode, message: str, *details: Message) -> grpc.aio.AioRpcError:
    found = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        found.details.add().Pack(detail)
    trailing = grpc.aio.Metadata((refusal.DETAILS_KEY, found.SerializeToString())) if details else grpc.aio.Metadata()
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, details=message)


def of_server(error: Exception) -> grpc.aio.AioRpcError:
    """What a client gets when one of our servers raises `error`."""
    found = status.of(error)
    code = next(code for code in Code if code.value[0] == found.code)
    trailing = grpc.aio.Metadata((refusal.DETAILS_KEY, found.SerializeToString()))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, details=found.message)


@pytest.mark.parametrize(
    ("error", "sentence", "hint"),
    [
        (
            failed(
                Code.UNAVAILABLE, "failed to connect to all addresses; last error: UNKNOWN: Connection refused (111)"
            ),
            "http://127.0.0.1:8080 does not answer: connection refused (UNAVAILABLE)",
            "Start the mesh with `make up`; `make status` shows what runs.",
        ),
        (
            failed(Code.UNAUTHENTICATED, "Jwt is expired"),
            "The token was not accepted: Jwt is expired (UNAUTHENTICATED)",
            "`ai2text token` mints a development token; pass one with --token or AI2TEXT_TOKEN.",
        ),
        (
            of_server(errors.ScopeMissing("the token lacks the scope 'search'", scope="search")),
            "The token does not allow this: the token lacks the scope 'search' (PERMISSION_DENIED, SCOPE_MISSING)",
            "Ask for a token with that scope; `ai2text token --scope ...` mints one for development.",
        ),
        (
            of_server(errors.RecordingNotFound("there is no recording x")),
            "There is no recording x (NOT_FOUND, RECORDING_NOT_FOUND)",
            "`ai2text recordings list` shows what there is.",
        ),
        (
            of_server(errors.OperationNotFound("there is no operation x")),
            "There is no operation x (NOT_FOUND, OPERATION_NOT_FOUND)",
            "`ai2text jobs` shows what there is.",
        ),
        (
            of_server(errors.Overloaded("this server is full")),
            "This server is full (RESOURCE_EXHAUSTED, OVERLOADED)",
            "Try again in 1 s.",
        ),
        (
            failed(Code.RESOURCE_EXHAUSTED, "local_rate_limited"),
            "Local_rate_limited (RESOURCE_EXHAUSTED)",
            "Try again in a moment.",
        ),
        (
            of_server(errors.DependencyUnavailable("postgres")),
            "Postgres does not answer at the moment; try again (UNAVAILABLE, DEPENDENCY_UNAVAILABLE)",
            "Try again in 2 s. `make status` shows what is down.",
        ),
        (
            of_server(errors.FieldInvalid("limit", "must be at most 100")),
            "The request is not valid: limit: must be at most 100 (INVALID_ARGUMENT, FIELD_INVALID)",
            "",
        ),
        (
            failed(Code.DEADLINE_EXCEEDED, "Deadline Exceeded"),
            "http://127.0.0.1:8080 took too long to answer (DEADLINE_EXCEEDED)",
            "`make status` shows how the mesh is; `make logs PART=...` shows why.",
        ),
        (
            failed(Code.UNIMPLEMENTED, ""),
            "http://127.0.0.1:8080 does not know this method (UNIMPLEMENTED)",
            "Is it the edge of an AI2Text mesh, and as new as this command?",
        ),
        (
            failed(Code.INTERNAL, "Stream removed (RST_STREAM (Received RST_STREAM with error code 2))"),
            "The connection to http://127.0.0.1:8080 broke off (INTERNAL)",
            "`make status` shows how the mesh is; `make logs PART=...` shows why.",
        ),
        (
            failed(Code.UNKNOWN, ""),
            "The call failed and the server did not say why (UNKNOWN)",
            "`make status` shows how the mesh is; `make logs PART=...` shows why.",
        ),
    ],
)
def test_what_is_said(error: grpc.aio.AioRpcError, sentence: str, hint: str) -> None:
    said = refusal.of(error, LOCAL)
    assert (said.sentence, said.hint) == (sentence, hint)


def test_a_remote_edge_is_not_started_with_make() -> None:
    said = refusal.of(failed(Code.UNAVAILABLE, "Name or service not known"), REMOTE)
    assert said.hint == "Check the address (--endpoint or AI2TEXT_ENDPOINT) and the network."


def test_details_of_foreign_servers_are_read_too() -> None:
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromMilliseconds(1500)
    assert refusal.of(failed(Code.RESOURCE_EXHAUSTED, "busy", retry), REMOTE).hint == "Try again in 1.5 s."


@pytest.mark.parametrize(
    ("address", "shown", "target", "tls"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "127.0.0.1:8080", False),
        ("localhost:9", "http://localhost:9", "localhost:9", False),
        ("https://speech.example.org", "https://speech.example.org:443", "speech.example.org:443", True),
        ("http://[::1]:80/", "http://[::1]:80", "[::1]:80", False),
    ],
)
def test_endpoints(address: str, shown: str, target: str, tls: bool) -> None:
    endpoint = Endpoint.parse(address)
    assert (str(endpoint), endpoint.target, endpoint.tls) == (shown, target, tls)


@pytest.mark.parametrize("address", ["", "ftp://x", "http://", "http://x:port", "http://x/path", "http://x:99999"])
def test_what_is_no_endpoint(address: str) -> None:
    with pytest.raises(UsageProblem, match="no address"):
        Endpoint.parse(address)
