"""OTLP over HTTP for the collector: `POST /v1/traces`, protobuf or JSON, plain or gzipped, and `GET /healthz`.

Triton's exporter has no gRPC and sends JSON, in which OTLP writes ids in hex where protobuf's own JSON has base64.
"""

import asyncio
import base64
import gzip
import json
import logging
import zlib
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

log = logging.getLogger("collector")

BODY_BYTES = 16 << 20
REQUEST_TIMEOUT_S = 60
_IDS = ("traceId", "spanId", "parentSpanId")


class HttpFront:
    """Hands each batch to `offer`, which says whether there was room for it."""

    def __init__(self, offer: Callable[[ExportTraceServiceRequest], bool]) -> None:
        self._offer = offer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers requests on one connection until the other side closes it or errs."""
        try:
            while await self._serve_one(reader, writer):
                pass
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the other side is gone, or does not speak HTTP: nobody is left to tell
        finally:
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        async with asyncio.timeout(REQUEST_TIMEOUT_S):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            length = headers.get("content-length", "0")
            if not length.isdigit() or int(length) > BODY_BYTES:
                await _respond(writer, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                return False
            if headers.get("expect", "").lower() == "100-continue":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await reader.readexactly(int(length))
        await _respond(writer, self._answer(head[0], headers, body))
        return headers.get("connection", "").lower() != "close"

    def _answer(self, request_line: str, headers: dict[str, str], body: bytes) -> HTTPStatus:
        method, _, rest = request_line.partition(" ")
        path = rest.partition(" ")[0]
        if (method, path) == ("GET", "/healthz"):
            return HTTPStatus.OK
        if (method, path) != ("POST", "/v1/traces"):
            return HTTPStatus.NOT_FOUND
        try:
            content = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
            batch = _parse(content, headers.get("content-type", ""))
        except (OSError, EOFError, zlib.error, DecodeError, ValueError, json_format.ParseError) as error:
            log.warning("a batch of %d bytes is no OTLP: %s", len(body), error)
            return HTTPStatus.BAD_REQUEST
        return HTTPStatus.OK if self._offer(batch) else HTTPStatus.SERVICE_UNAVAILABLE


def _parse(content: bytes, content_type: str) -> ExportTraceServiceRequest:
    if content_type.startswith("application/json"):
        parsed = json_format.ParseDict(
            _with_base64_ids(json.loads(content)), ExportTraceServiceRequest(), ignore_unknown_fields=True
        )
        assert isinstance(parsed, ExportTraceServiceRequest)
        return parsed
    return ExportTraceServiceRequest.FromString(content)


def _with_base64_ids(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_base64_ids(item) for item in node]
    if isinstance(node, dict):
        return {name: _base64(value) if name in _IDS else _with_base64_ids(value) for name, value in node.items()}
    return node


def _base64(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


async def _respond(writer: asyncio.StreamWriter, status: HTTPStatus) -> None:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
    )
    writer.write(head.encode())
    await writer.drain()
