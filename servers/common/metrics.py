"""The metrics that every server has: OpenTelemetry instruments, shown on the server's Prometheus endpoint."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import metrics

from servers.common.tallies import Level, Tally

_METER = metrics.get_meter("ai2text")

CALLS = Tally(_METER, "ai2text.rpc.calls", "Calls answered, by method and status code.", ("method", "code"))
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0)
"""Boundaries of histograms of time, with those of the service levels among them."""

DURATION = _METER.create_histogram(
    "ai2text.rpc.duration",
    unit="s",
    description="Time from the request's arrival to the end of the answer.",
    explicit_bucket_boundaries_advisory=SECONDS,
)
IN_FLIGHT = Level(_METER, "ai2text.rpc.in_flight", "Calls that are being answered.", ("method",))


@contextmanager
def timed(method: str) -> Iterator[None]:
    """Measure one call of `method`, however it ends."""
    began = time.perf_counter()
    IN_FLIGHT.count(method)
    try:
        yield
    finally:
        IN_FLIGHT.lower(method)
        DURATION.record(time.perf_counter() - began, {"method": method})
