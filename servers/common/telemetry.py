"""Structured logs, traces and metrics of one process."""

import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import start_http_server

from servers.common.settings import ServerSettings

_TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
"""Without the values of variables: these hold what callers said."""


def _with_trace(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the ids of the current span, so that a log line leads to its trace."""
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = f"{span.trace_id:032x}"
        event["span_id"] = f"{span.span_id:016x}"
    return event


def configure_logs(server: str, level: str) -> None:
    """One JSON object a line on standard error, foreign loggers included."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _with_trace,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _TRACEBACKS,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # A stream that its client leaves is closed from another context; the interceptor's detach then fails, harmlessly.
    logging.getLogger("opentelemetry.context").setLevel(logging.CRITICAL)
    structlog.contextvars.bind_contextvars(server=server)


@contextmanager
def started(server: str, settings: ServerSettings) -> Iterator[None]:
    """Logs, traces and metrics of the server named `server`, until the block ends; what is pending is then flushed.

    Spans wait in a bounded queue (2,048) and are dropped, not waited for, when the collector is away.
    """
    configure_logs(server, settings.log_level)
    resource = Resource.create({"service.name": server})
    tracers = TracerProvider(resource=resource)
    if settings.otlp_endpoint:
        exporter = OTLPSpanExporter(endpoint=settings.otlp_endpoint, insecure=True, timeout=2)
        tracers.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=500))
        logging.getLogger("opentelemetry.exporter.otlp").setLevel(logging.CRITICAL)
    trace.set_tracer_provider(tracers)
    meters = MeterProvider(
        resource=resource,
        metric_readers=[PrometheusMetricReader()],
        exemplar_filter=AlwaysOffExemplarFilter(),  # Prometheus' exporter drops them, and each measurement pays
    )
    metrics.set_meter_provider(meters)
    if settings.metrics_port:
        start_http_server(settings.metrics_port, addr=settings.listen.rpartition(":")[0])
    try:
        yield
    finally:
        tracers.shutdown()
        meters.shutdown()
