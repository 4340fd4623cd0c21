"""Unary gRPC calls on a bare HTTP/2 connection, so that who calls takes little of the machine that is measured.

A call of grpcio costs its caller about as much processor time as the edge and a server together have to answer it in.
Here a request is a few bytes before its message: its headers, which are the same for every call, stand in the server's
table (RFC 7541) after the first. Of an answer only its status is read. What is under way must fit the server's windows.
"""

import asyncio
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import grpc
import hpack

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM = _ACK = 1
_END_HEADERS = 4
_HEADER_TABLE_SIZE = 1
_LARGEST_WINDOW = 2**31 - 1
_TABLE_BYTES, _ENTRY_BYTES = 4096, 32
_FIRST_ENTRY = 62
"""Of the table that is made by what is sent; the static one ends before it."""

_POST, _HTTP = b"\x83", b"\x86"
_NAMES = {":authority": 1, ":path": 4, "authorization": 23, "content-type": 31}
"""Of the static table."""
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


@dataclass(frozen=True, slots=True)
class Status:
    """How a call ended."""

    code: str
    """Such as OK."""
    message: str = ""


Ended = Callable[[Status], None]


class Wire(asyncio.Protocol):
    """One connection, all of whose calls are of one method."""

    def __init__(self, authority: str, path: str, headers: Sequence[tuple[str, str]]) -> None:
        given = [(":path", path), (":authority", authority), ("content-type", "application/grpc"), ("te", "trailers")]
        self._first, self._again = _blocks([*given, *headers])
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._next = 1
        self._under_way: dict[int, Ended] = {}
        self._statuses: dict[bytes, Status] = {}

    @classmethod
    async def connected(cls, target: str, path: str, headers: Sequence[tuple[str, str]]) -> "Wire":
        """On a new connection to `host:port`."""
        host, _, port = target.rpartition(":")
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(lambda: cls(target, path, headers), host, int(port))
        return wire

    def call(self, message: bytes, ended: Ended) -> None:
        """Send a request; `ended` is called once, unless the connection is closed before."""
        assert self._transport is not None
        stream, self._next = self._next, self._next + 2
        block = self._first if stream == 1 else self._again
        data = struct.pack(">BI", 0, len(message)) + message
        self._under_way[stream] = ended
        self._transport.write(_frame(_HEADERS, _END_HEADERS, stream, block) + _frame(_DATA, _END_STREAM, stream, data))

    def close(self) -> None:
        """Drop the connection; nobody is told of what is under way."""
        self._under_way.clear()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol. Asks for answers without a table, so that each can be read without those before it."""
        self._transport = cast(asyncio.Transport, transport)  # that of uvloop is none by its type
        settings = struct.pack(">HI", _HEADER_TABLE_SIZE, 0)
        window = struct.pack(">I", _LARGEST_WINDOW - 0xFFFF)
        self._transport.write(_PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW_UPDATE, 0, 0, window))

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio.Protocol."""
        for stream in list(self._under_way):
            self._end(stream, Status("UNAVAILABLE", "the connection was lost"))

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        received = self._received
        received += data
        begin = 0
        while len(received) - begin >= 9:
            end = begin + 9 + int.from_bytes(received[begin : begin + 3], "big")
            if len(received) < end:
                break
            kind, flags = received[begin + 3], received[begin + 4]
            stream = int.from_bytes(received[begin + 5 : begin + 9], "big")
            self._take(kind, flags, stream, bytes(received[begin + 9 : end]))
            begin = end
        del received[:begin]

    def _take(self, kind: int, flags: int, stream: int, content: bytes) -> None:
        assert self._transport is not None
        if kind == _HEADERS and flags & _END_STREAM:
            self._end(stream, self._status(content))
        elif kind == _RST_STREAM:
            self._end(stream, Status("CANCELLED", f"the stream was reset: {int.from_bytes(content, 'big')}"))
        elif kind == _SETTINGS and not flags & _ACK:
            self._transport.write(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._transport.write(_frame(_PING, _ACK, 0, content))
        elif kind == _GOAWAY:
            self._transport.close()

    def _end(self, stream: int, status: Status) -> None:
        ended = self._under_way.pop(stream, None)
        if ended is not None:
            ended(status)

    def _status(self, block: bytes) -> Status:
        """What the last headers say; most of them are the same."""
        if block not in self._statuses:
            self._statuses[block] = _read(block)
        return self._statuses[block]


def _read(block: bytes) -> Status:
    said = {str(name): str(value) for name, value in hpack.Decoder().decode(block)}
    if "grpc-status" not in said:
        return Status("UNKNOWN", f"HTTP {said.get(':status', '?')}")
    return Status(_CODES.get(int(said["grpc-status"]), "UNKNOWN"), said.get("grpc-message", ""))


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return struct.pack(">I", len(content) << 8 | kind) + struct.pack(">BI", flags, stream) + content


def _blocks(headers: Sequence[tuple[str, str]]) -> tuple[bytes, bytes]:
    """The headers of the first request, which the server puts into its table, and of all others, which point there."""
    if sum(len(name) + len(value) + _ENTRY_BYTES for name, value in headers) > _TABLE_BYTES:
        raise ValueError("the headers do not fit the table of HTTP/2")
    first = _POST + _HTTP + b"".join(_entered(name, value) for name, value in headers)
    again = _POST + _HTTP + bytes(0x80 | _FIRST_ENTRY + number for number in reversed(range(len(headers))))
    return first, again


def _entered(name: str, value: str) -> bytes:
    """One header to be put into the table."""
    known = _NAMES.get(name)
    return (bytes([0x40 | known]) if known else b"\x40" + _text(name)) + _text(value)


def _text(text: str) -> bytes:
    """A string with its length: seven bits, or more of them after a seven that is full."""
    content, rest = text.encode("ascii"), b""
    if len(content) < 0x7F:
        return bytes([len(content)]) + content
    left = len(content) - 0x7F
    while left > 0x7F:
        rest, left = rest + bytes([0x80 | left & 0x7F]), left >> 7
    return b"\x7f" + rest + bytes([left]) + content
