"""One case sent through the edge, and what came back."""

import base64
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2

from bench.fuzz import values
from bench.fuzz.cases import FRAMED, Case, Http, Rpc, harmless
from bench.fuzz.methods import Method

MOST_ANSWERS = 200
"""After so many messages of an endless answer the call is left."""
BEFORE_CANCEL_S = 0.01
FRAME_HEAD, WEB_END, CONNECT_END = 5, 0x80, 0x02
"""How long the head of a frame is; the flags of the last one, which says how it ended, in gRPC-web and in Connect."""
UPSTREAM = "x-envoy-upstream-service-time"
"""A header of every answer that a server gave; the edge's own have it not."""

Headers = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True)
class Reaction:
    """How a call ended."""

    code: str
    """The name of the gRPC status."""
    reason: str = ""
    """Of ErrorInfo in our domain, without its prefix; empty when there is none."""
    message: str = ""
    of_the_edge: bool = False
    """Whether the edge answered by itself."""
    left: bool = False
    """Whether we left before it ended."""
    retry_s: float | None = None

    def __str__(self) -> str:
        return f"{self.code}{f' ({self.reason})' if self.reason else ''}{f': {self.message}' if self.message else ''}"


@dataclass(frozen=True)
class Sender:
    """The edge, and what is known of what is behind it."""

    channel: grpc.Channel
    http: httpx.Client
    tokens: Mapping[str, Headers]
    """The headers of each kind of caller."""
    names: values.Names
    session_headers: Headers
    tenant: str

    def send(self, method: Method, case: Case) -> Reaction:
        """Make the call, to its end."""
        return self._rpc(method, case) if isinstance(case, Rpc) else self._http(method, case)

    def _rpc(self, method: Method, case: Rpc) -> Reaction:
        contents = [harmless(method, body.on_the_wire(self.names), self.tenant) for body in case.bodies]
        done = threading.Event()
        sticky = self.session_headers if case.sticky else ()
        stream: Any = self.channel.stream_stream(method.path, None, method.response.FromString)
        call = stream(
            _sent(contents, done if case.cancels else None),
            timeout=method.deadline_s,
            metadata=(*self.tokens[case.token], *sticky),
        )
        if case.cancels:
            threading.Timer(BEFORE_CANCEL_S, call.cancel).start()
        try:
            return _heard(call)
        finally:
            done.set()

    def _http(self, method: Method, case: Http) -> Reaction:
        path, content = case.path, case.content
        for name, meant in self.names.items():
            if name in path or name.encode() in content:
                now = meant if isinstance(meant, str) else meant()
                path, content = path.replace(name, now), content.replace(name.encode(), now.encode())
        framed = [("te", "trailers")] if case.content_type.startswith(FRAMED) else []  # gRPC cannot do without
        known = [(key, str(text)) for key, text in (*self.tokens[case.token], *self.session_headers)]
        headers = [*known, ("content-type", case.content_type), *framed]
        try:
            answer = self.http.request(
                case.verb, path.replace("\0", "%00"), content=content, headers=headers, timeout=method.deadline_s
            )
        except httpx.TimeoutException:
            return Reaction("DEADLINE_EXCEEDED", left=method.waits)
        except httpx.InvalidURL:
            return Reaction("UNSENT", left=True)
        except httpx.HTTPError as error:
            return Reaction("NO_ANSWER", message=f"{type(error).__name__}: {error}")
        return of_http(answer)


def _sent(contents: Sequence[bytes], until: threading.Event | None) -> Iterator[bytes]:
    yield from contents
    if until is not None:
        until.wait()


def _heard(call: Any) -> Reaction:
    try:
        for number, _ in enumerate(call):
            if number >= MOST_ANSWERS:
                call.cancel()
                return Reaction("OK", left=True)
    except grpc.RpcError:
        pass
    return of_grpc(call)


def of_grpc(call: Any) -> Reaction:
    """The reaction of a call that has ended."""
    code: grpc.StatusCode = call.code()
    headers = [*(call.initial_metadata() or ()), *(call.trailing_metadata() or ())]
    reason, retry_s = _details(next((value for key, value in headers if key == "grpc-status-details-bin"), b""))
    upstream = any(key == UPSTREAM for key, _ in headers)
    left = code == grpc.StatusCode.CANCELLED and "locally" in (call.details() or "").lower()
    return Reaction(code.name, reason, call.details() or "", not upstream, left, retry_s)


def _details(packed: bytes) -> tuple[str, float | None]:
    """The reason, if it is one of ours, and when to try again."""
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    try:
        details = status_pb2.Status.FromString(packed).details
    except DecodeError:
        return "", None
    known = [detail.Unpack(info) or detail.Unpack(retry) for detail in details]
    retry_s = retry.retry_delay.ToNanoseconds() / 1e9 if any(known) and retry.HasField("retry_delay") else None
    return (info.reason.removeprefix("ERROR_REASON_") if info.domain == "ai2text" else ""), retry_s


def of_http(answer: httpx.Response) -> Reaction:
    """The reaction that an HTTP answer is: its JSON says the code, or the headers of gRPC do."""
    edge = UPSTREAM not in answer.headers
    trailers = answer.headers if "grpc-status" in answer.headers else _trailers(answer)
    if "grpc-status" in trailers:
        reason, retry_s = _details(_unpadded(trailers.get("grpc-status-details-bin", "")))
        name = code_pb2.Code.Name(int(trailers["grpc-status"]))
        return Reaction(name, reason, trailers.get("grpc-message", ""), edge, retry_s=retry_s)
    if answer.is_success:
        return Reaction("OK", of_the_edge=edge)
    try:
        said = answer.json()
        details = said.get("details", [])
        reasons = [one["reason"] for one in details if one.get("domain") == "ai2text"]
        retries = [float(one["retryDelay"].rstrip("s")) for one in details if "retryDelay" in one]
        return Reaction(
            code_pb2.Code.Name(said["code"]),
            reasons[0].removeprefix("ERROR_REASON_") if reasons else "",
            said.get("message", ""),
            edge,
            retry_s=retries[0] if retries else None,
        )
    except (json.JSONDecodeError, KeyError, TypeError, ValueError):
        code = "UNAUTHENTICATED" if answer.status_code == 401 else f"HTTP {answer.status_code}"
        return Reaction(code, message=answer.text[:200], of_the_edge=edge)


def _trailers(answer: httpx.Response) -> Mapping[str, str]:
    """What the last frame of a gRPC-web or a Connect stream says; nothing of any other answer."""
    kind = answer.headers.get("content-type", "")
    if kind.startswith("application/grpc-web-text"):
        return _of_web(base64.b64decode(answer.content))
    if kind.startswith("application/grpc-web"):
        return _of_web(answer.content)
    return _of_connect(answer.content) if kind.startswith("application/connect") else {}


def _of_web(content: bytes) -> Mapping[str, str]:
    lines = [line for flags, frame in _frames(content) if flags & WEB_END for line in frame.splitlines()]
    pairs = (line.decode(errors="replace").partition(":") for line in lines)
    return {key.strip().lower(): text.strip() for key, _, text in pairs}


def _of_connect(content: bytes) -> Mapping[str, str]:
    ends = [json.loads(frame) for flags, frame in _frames(content) if flags & CONNECT_END]
    if not ends:
        return {}
    error = ends[0].get("error", {"code": "ok"})
    status = status_pb2.Status()
    for detail in error.get("details", []):
        status.details.add(type_url=detail["type"], value=_unpadded(detail["value"]))
    code = code_pb2.Code.Value(error["code"].upper().replace("CANCELED", "CANCELLED"))
    packed = base64.b64encode(status.SerializeToString()).decode()
    return {"grpc-status": str(code), "grpc-message": error.get("message", ""), "grpc-status-details-bin": packed}


def _unpadded(text: str) -> bytes:
    return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))


def _frames(content: bytes) -> Iterator[tuple[int, bytes]]:
    while len(content) >= FRAME_HEAD:
        end = FRAME_HEAD + int.from_bytes(content[1:FRAME_HEAD], "big")
        yield content[0], content[FRAME_HEAD:end]
        content = content[end:]


def patiently(sender: Sender, method: Method, case: Case, tries: int = 4) -> Reaction:
    """Send a case again as long as it is told to try again later."""
    for _ in range(tries - 1):
        reaction = sender.send(method, case)
        if reaction.retry_s is None:
            return reaction
        time.sleep(min(reaction.retry_s, 3.0))
    return sender.send(method, case)
