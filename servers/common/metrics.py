"""The metrics that every server has: OpenTelemetry instruments, shown on the server's Prometheus endpoint."""

import time

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


class timed:  # noqa: N801 - read as a function; a class, since a generator takes five times as long
    """Measure one call of `method`, the block, however it ends."""

    __slots__ = ("_began", "_method")

    def __init__(self, method: str) -> None:
        self._method = method

    def __enter__(self) -> None:
        IN_FLIGHT.count(self._method)
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        took = time.perf_counter() - self._began
        IN_FLIGHT.lower(self._method)
        DURATION.record(took, {"method": self._method})
