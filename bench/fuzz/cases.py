"""What is sent in one case: by whom, in which form, with which messages, and how the call ends."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from google.protobuf import json_format, text_format
from google.protobuf.message import DecodeError, Message
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from bench.fuzz import values
from bench.fuzz.methods import VARIABLE, Binding, Method

MOST_MESSAGES = 8
MOST_SHOWN = 400
REPEATED = re.compile(r'\b(\w{1,40}: "[^"]{0,80}" )\1{3,}')
"""The same text in a list, more than thrice."""

TOKENS = (*("good",) * 12, "stranger", "stranger", "powerless", "none", "expired", "forged", "odd")
"""Who calls: somebody who may do everything, mostly; a second tenant, one without scopes, and those without a token."""
UNKNOWN = ("none", "expired", "forged")
"""Those whom the edge must not let in."""
CONTENT_TYPES = (
    "application/json",
    "application/grpc",
    "application/grpc+json",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/connect+proto",
    "application/proto",
    "text/plain; charset=utf-16",
    "multipart/form-data",
    "",
)
FRAMED = ("application/grpc", "application/connect")
PERILOUS = ("ReplayDeadLetters", "DiscardDeadLetters")
"""What they are asked to do reaches other tenants unless a tenant is named."""


@dataclass(frozen=True, repr=False)
class Body:
    """One message as it goes on the wire: the first bytes of its form, and others after them."""

    message: Message
    cut: int | None = None
    """How many bytes are left of it; None for all."""
    tail: bytes = b""

    def on_the_wire(self, names: values.Names) -> bytes:
        """Its bytes when the names in it are those that things have now."""
        return values.replaced(self.message, names).SerializeToString()[: self.cut] + self.tail

    def __repr__(self) -> str:
        text = text_format.MessageToString(self.message, as_one_line=True, as_utf8=True)
        text = REPEATED.sub(lambda run: f"{run[1]}({len(run[0]) // len(run[1])} times) ", text)
        shown = text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}… ({len(text)} characters)"
        cut = "" if self.cut is None else f" cut to {self.cut} bytes"
        return f"{{{shown}}}{cut}" + (f" and {self.tail[:40]!r} ({len(self.tail)} bytes)" if self.tail else "")


@dataclass(frozen=True, repr=False)
class Rpc:
    """A call by gRPC."""

    token: str
    bodies: Sequence[Body]
    cancels: bool = False
    """Whether it is left when all is sent, instead of being ended."""
    sticky: bool = True
    """Whether it carries the headers that lead to the server of the live session."""

    def __repr__(self) -> str:
        sent = " ".join(map(str, self.bodies)) or "no message"
        return f"gRPC, token {self.token}, {sent}{', then cancelled' if self.cancels else ''}"


@dataclass(frozen=True, repr=False)
class Http:
    """A call by HTTP: JSON as the annotations have it, or what is none."""

    token: str
    verb: str
    path: str
    content: bytes
    content_type: str = "application/json"

    def __repr__(self) -> str:
        shown = self.content.decode(errors="replace")
        if len(shown) > 2 * MOST_SHOWN:
            shown = f"{shown[:MOST_SHOWN]}… {shown[-MOST_SHOWN:]} ({len(shown)} characters)"
        return f"{self.verb.upper()} {self.path[:MOST_SHOWN]} as {self.content_type!r}, token {self.token}, {shown}"


Case = Rpc | Http
Good = Sequence[Message]
"""The messages of a call that is in order: one, or those of a stream."""


def harmless(method: Method, content: bytes, tenant: str) -> bytes:
    """The same request, but for those that would reach the dead letters of all tenants: these mean only `tenant`."""
    if method.descriptor.name not in PERILOUS:
        return content
    request: Any = method.request()
    try:
        request.ParseFromString(content)
    except DecodeError:
        return content
    if not request.HasField("selection"):
        return content
    request.selection.tenant = request.selection.tenant or tenant
    return bytes(request.SerializeToString())


def cases(method: Method, good: Good, hints: values.Hints) -> SearchStrategy[Case]:
    """Every kind of call of one method, mostly by gRPC, the simplest the one that is in order."""
    by_grpc = _rpcs(method, good, hints)
    if not method.bindings() or method.descriptor.name in PERILOUS:
        return st.integers(0, 7).flatmap(lambda die: _strays(method) if die == 7 else by_grpc)
    by_json = _jsons(method, good, hints)
    kinds: Sequence[SearchStrategy[Case]] = (
        by_grpc,
        by_grpc,
        by_grpc,
        by_grpc,
        by_grpc,
        by_json,
        by_json,
        _strays(method),
    )
    return st.integers(0, len(kinds) - 1).flatmap(lambda die: kinds[die])


@st.composite
def _rpcs(draw: DrawFn, method: Method, good: Good, hints: values.Hints) -> Case:
    token = draw(st.sampled_from(TOKENS))
    bodies = draw(_streams(method, good, hints)) if method.streams else [draw(_bodies(method, good[0], hints))]
    cancels = draw(st.integers(0, 7)) == 7
    return Rpc(token, bodies, cancels, sticky=draw(st.integers(0, 7)) != 7)


@st.composite
def _bodies(draw: DrawFn, method: Method, good: Message, hints: values.Hints) -> Body:
    kind = draw(st.integers(0, 9))
    like = good if kind != 9 else None
    message = draw(values.message(method.descriptor.input_type, hints, like))
    if kind == 7:
        return Body(message, draw(st.integers(0, 64)), draw(st.binary(max_size=20)))
    if kind == 8:
        return Body(method.request(), 0, draw(st.binary(min_size=1, max_size=200)))
    return Body(message)


@st.composite
def _streams(draw: DrawFn, method: Method, good: Good, hints: values.Hints) -> list[Body]:
    """Some of a good stream's messages in their order, or any messages in any."""
    kept = draw(st.sampled_from((len(good), len(good), len(good), 1, 0)))
    bodies = [draw(_bodies(method, one, hints)) for one in good[:kept]]
    room = MOST_MESSAGES - len(bodies)
    return bodies + draw(
        st.lists(st.sampled_from(list(good)).flatmap(lambda one: _bodies(method, one, hints)), max_size=room)
    )


@st.composite
def _jsons(draw: DrawFn, method: Method, good: Good, hints: values.Hints) -> Case:
    token, binding = draw(st.sampled_from(TOKENS)), draw(st.sampled_from(method.bindings()))
    message = draw(values.message(method.descriptor.input_type, hints, good[0]))
    try:
        fields = json.loads(json_format.MessageToJson(message))
    except (ValueError, json_format.Error):  # a time that JSON cannot say
        fields = {}
    path = VARIABLE.sub(lambda match: quote(_leaf(message, match[1]), safe=":/<>"), binding.template)
    if binding.body:
        return Http(token, binding.verb, path, draw(_json_bodies(fields, method, binding)))
    query = {name: one for name, one in fields.items() if not isinstance(one, dict)}
    return Http(token, binding.verb, f"{path}?{urlencode(query, doseq=True, safe='<>')}", b"")


def _json_bodies(fields: Mapping[str, Any], method: Method, binding: Binding) -> SearchStrategy[bytes]:
    whole = fields if binding.body == "*" else fields.get(binding.body, {})
    leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    anything = st.recursive(
        leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    )
    names = [one.json_name for one in method.descriptor.input_type.fields] or ["none"]
    misfit = st.dictionaries(st.sampled_from(names), anything, max_size=3).map(lambda other: {**whole, **other})
    written = (st.just(whole) | st.just(whole) | misfit | anything).map(lambda one: json.dumps(one).encode())
    return written | st.binary(max_size=60)


def _leaf(message: Any, path: str) -> str:
    for name in path.split("."):
        message = getattr(message, name)
    return str(message) or "-"


def _strays(method: Method) -> SearchStrategy[Case]:
    """The method's own address, called with what is no message, as a content that it may be or not."""
    return st.builds(
        _stray,
        st.just(method),
        st.sampled_from(TOKENS),
        st.sampled_from(("post", "get", "put", "delete")),
        st.binary(max_size=60),
        st.sampled_from(CONTENT_TYPES),
    )


def _stray(method: Method, token: str, verb: str, inner: bytes, content_type: str) -> Case:
    """Where the form has frames the content is one, since what breaks the protocol itself is no request of ours."""
    content = b"\0" + len(inner).to_bytes(4, "big") + inner if content_type.startswith(FRAMED) else inner
    if content_type.endswith("-text"):
        content = base64.b64encode(content)
    token = "powerless" if method.descriptor.name in PERILOUS else token
    return Http(token, verb, method.path, content, content_type)
