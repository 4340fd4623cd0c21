"""The mesh's trace collector: OTLP over gRPC and over HTTP in, one JSON line a span out.

Envoy and our servers export over gRPC; Triton only speaks OTLP/HTTP. What arrives waits in a
bounded queue; when that is full the exporter is told to come back later. `python -m mesh.collector` runs it.
"""

import asyncio
import json
import logging
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2

from mesh.home import Home
from mesh.otlp_http import BODY_BYTES, HttpFront
from mesh.ports import HOST, Ports

log = logging.getLogger("collector")

QUEUE_BATCHES = 256
FILE_BYTES = 64 << 20
FILES_KEPT = 3
_ID_FIELDS = ("trace_id", "span_id", "parent_span_id")


def span_objects(batch: trace_service_pb2.ExportTraceServiceRequest) -> Iterator[dict[str, Any]]:
    """Each span of a batch under OTLP's JSON names (ids in hex, nanoseconds as strings), with `serviceName`."""
    for resource_spans in batch.resource_spans:
        attributes = resource_spans.resource.attributes
        service = next((item.value.string_value for item in attributes if item.key == "service.name"), "")
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield {"serviceName": service, "scope": scope_spans.scope.name} | _span_object(span)


def _span_object(span: trace_pb2.Span) -> dict[str, Any]:
    ids = {_camel(name): getattr(span, name).hex() for name in _ID_FIELDS if getattr(span, name)}
    rest: dict[str, Any] = MessageToDict(span, use_integers_for_enums=True)
    for link, source in zip(rest.get("links", []), span.links, strict=True):
        link.update(traceId=source.trace_id.hex(), spanId=source.span_id.hex())
    return rest | ids


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


@dataclass
class SpanFile:
    """An append-only file of spans that is set aside when it has grown to `limit` bytes; `kept` old ones stay."""

    path: Path
    limit: int = FILE_BYTES
    kept: int = FILES_KEPT

    def append(self, spans: Iterator[dict[str, Any]]) -> None:
        """Writes one line for each span."""
        lines = "".join(json.dumps(span, ensure_ascii=False) + "\n" for span in spans)
        if self.path.exists() and self.path.stat().st_size + len(lines) > self.limit:
            self._rotate()
        with self.path.open("a", encoding="utf-8") as file:
            file.write(lines)

    def _rotate(self) -> None:
        for number in range(self.kept, 0, -1):
            younger = self._aside(number - 1) if number > 1 else self.path
            if younger.exists():
                younger.replace(self._aside(number))

    def _aside(self, number: int) -> Path:
        return self.path.with_suffix(f".{number}.jsonl")

    def all_paths(self) -> list[Path]:
        """The files that exist, the oldest first."""
        candidates = [self._aside(number) for number in range(self.kept, 0, -1)] + [self.path]
        return [path for path in candidates if path.exists()]


@dataclass
class Intake:
    """The bounded queue between the two front doors and the file."""

    file: SpanFile
    queue: asyncio.Queue[trace_service_pb2.ExportTraceServiceRequest] = field(
        default_factory=lambda: asyncio.Queue(QUEUE_BATCHES)
    )

    def offer(self, batch: trace_service_pb2.ExportTraceServiceRequest) -> bool:
        """Takes the batch unless the queue is full."""
        try:
            self.queue.put_nowait(batch)
        except asyncio.QueueFull:
            return False
        return True

    async def write(self) -> None:
        """Writes what was taken, until cancelled. A full disk costs spans, not the collector."""
        while True:
            batch = await self.queue.get()
            try:
                await asyncio.to_thread(self.file.append, span_objects(batch))
            except OSError as error:
                log.error("spans are lost: %s", error)
            finally:
                self.queue.task_done()


class TraceService(trace_service_pb2_grpc.TraceServiceServicer):
    """OTLP over gRPC."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def Export(
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: Any
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        """Takes a batch, or answers RESOURCE_EXHAUSTED, which exporters take as a reason to retry."""
        if not self._intake.offer(request):
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the collector is busy")
        return trace_service_pb2.ExportTraceServiceResponse()


@dataclass
class Collector:
    """Both front doors on one host, and the writer behind them."""

    intake: Intake
    server: grpc.aio.Server
    http: asyncio.Server
    writer: "asyncio.Task[None]"
    grpc_port: int

    @property
    def http_port(self) -> int:
        """Where OTLP/HTTP is served."""
        port: int = self.http.sockets[0].getsockname()[1]
        return port

    @classmethod
    async def start(cls, file: SpanFile, host: str, grpc_port: int, http_port: int) -> "Collector":
        """Listens on both ports; 0 takes a free one. Raises RuntimeError or OSError when a port is taken."""
        intake = Intake(file)
        server = grpc.aio.server(options=[("grpc.max_receive_message_length", BODY_BYTES)])
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(TraceService(intake), server)
        checks = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(checks, server)
        bound = server.add_insecure_port(f"{host}:{grpc_port}")
        http = await asyncio.start_server(HttpFront(intake.offer).serve, host, http_port)
        await server.start()
        await checks.set("", health_pb2.HealthCheckResponse.SERVING)
        return cls(intake, server, http, asyncio.create_task(intake.write()), bound)

    async def stop(self) -> None:
        """Closes the doors, writes what had come in, and ends."""
        self.http.close()
        await self.server.stop(1)
        await self.intake.queue.join()
        self.writer.cancel()


async def main() -> None:
    """Runs until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    home, ports = Home.from_env(), Ports.from_env()
    home.create()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    file = SpanFile(home.traces / "spans.jsonl")
    collector = await Collector.start(file, HOST, ports.otlp_grpc, ports.otlp_http)
    log.info("collecting on %s (gRPC) and %s (HTTP) into %s", collector.grpc_port, collector.http_port, file.path)
    await stop.wait()
    await collector.stop()


if __name__ == "__main__":
    asyncio.run(main())
