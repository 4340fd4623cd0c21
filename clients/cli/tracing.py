"""The client's end of a trace: one span for the command, one for each call, sent where a collector is."""

import contextlib
import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from clients.cli.setup import Setup
from mesh.ports import HOST

SERVICE = "ai2text-cli"
PROBE_S = 0.1
EXPORT_S = 1.0
"""How long the end of a command may wait for its spans to leave."""


@dataclass(frozen=True)
class Trace:
    """The trace of one command."""

    tracers: trace.TracerProvider
    id: str
    """32 hexadecimal digits; empty when nothing is traced."""


@contextlib.contextmanager
def started(setup: Setup, name: str) -> Iterator[Trace]:
    """A span named `name` around the block; its context travels with every call made within.

    Nothing is traced when AI2TEXT_OTLP_ENDPOINT is unset and no local mesh listens for spans. A collector that does
    not answer costs at most EXPORT_S and is never an error.
    """
    endpoint = _collector(setup)
    if not endpoint:
        yield Trace(trace.NoOpTracerProvider(), "")
        return
    tracers = _exporting(endpoint)
    try:
        with tracers.get_tracer(__name__).start_as_current_span(name, kind=trace.SpanKind.INTERNAL) as span:
            yield Trace(tracers, f"{span.get_span_context().trace_id:032x}")
    finally:
        tracers.force_flush(int(EXPORT_S * 1000))
        tracers.shutdown()


def _exporting(endpoint: str) -> TracerProvider:
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    tracers = TracerProvider(resource=Resource.create({"service.name": SERVICE}), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http://"), timeout=EXPORT_S)
    tracers.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=500))
    return tracers


def _collector(setup: Setup) -> str:
    """Where to send spans: as the user says, or to the local mesh when it listens; else empty."""
    if setup.otlp_endpoint:
        return setup.otlp_endpoint
    if not setup.endpoint.is_local:
        return ""
    try:
        socket.create_connection((HOST, setup.ports.otlp_grpc), PROBE_S).close()
    except OSError:
        return ""
    return f"http://{HOST}:{setup.ports.otlp_grpc}"
