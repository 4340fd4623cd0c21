"""What is counted is seen by who reads the metrics."""

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint, Sum

from servers.common.tallies import Level, Tally


def seen(reader: InMemoryMetricReader, only_more: bool = True) -> dict[tuple[str, ...], int]:
    data = reader.get_metrics_data()
    assert data is not None
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    assert metric.name == "events"
    assert isinstance(metric.data, Sum)
    assert metric.data.is_monotonic is only_more
    points = [point for point in metric.data.data_points if isinstance(point, NumberDataPoint)]
    return {
        tuple(f"{key}={value}" for key, value in (point.attributes or {}).items()): int(point.value) for point in points
    }


def test_counts_by_their_values_and_goes_on_after_a_look() -> None:
    reader = InMemoryMetricReader()
    meters = MeterProvider(metric_readers=[reader])
    tally = Tally(meters.get_meter("test"), "events", "Events.", ("subject", "outcome"))
    for outcome in ("done", "done", "buried"):
        tally.count("x.y", outcome)
    assert seen(reader) == {("subject=x.y", "outcome=done"): 2, ("subject=x.y", "outcome=buried"): 1}
    tally.count("x.y", "done")
    assert seen(reader) == {("subject=x.y", "outcome=done"): 3, ("subject=x.y", "outcome=buried"): 1}
    meters.shutdown()


def test_a_level_becomes_less_again() -> None:
    reader = InMemoryMetricReader()
    meters = MeterProvider(metric_readers=[reader])
    level = Level(meters.get_meter("test"), "events", "Events.", ("method",))
    level.count("a")
    level.count("a")
    level.count("b")
    level.lower("a")
    level.lower("b")
    assert seen(reader, only_more=False) == {("method=a",): 1, ("method=b",): 0}
    meters.shutdown()
