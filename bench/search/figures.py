"""What the search benchmark has measured: as tables for people, and as flat keys for build/bench/search*.json."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from bench.report import Figure
from bench.search import alone, growth
from bench.search.alone import Index
from bench.search.arriving import Arrived
from bench.search.asking import Asked

OF_PEERS = re.compile(r"peer_\w+")
PROMISED = (
    "p50_ms", "p95_ms", "p99_ms", "recall_at_10", "p95_ms_filter_1pct", "recall_at_10_filter_1pct",
    "p95_ms_filter_001pct", "recall_at_10_filter_001pct", "p95_ms_with_writes", "segments_waiting_with_writes",
    "p95_ms_never_asked", "cache_hit_p95_ms", "cold_p95_ms", "cold_p99_ms", "qps", "memory_mib",
    "index_qps", "index_p95_ms", "bytes_per_vector",
)  # fmt: skip
"""What a run of all sections but the peers has."""
PROMISED_OF_PEERS = (
    "peer_vectors", *(f"peer_{name}_{figure}" for name in alone.PEERS for figure in ("qps", "bytes_per_vector"))
)  # fmt: skip
"""What build/bench/search.json has besides, once they have run at any size."""


@dataclass(frozen=True)
class Row:
    """One way of asking."""

    name: str
    asked: Asked
    recall_at_10: float | None = None
    """None where it is not asked for."""
    arrived: Arrived | None = None
    """What was written beside; None of nothing."""


def of_rows(rows: Sequence[Row]) -> dict[str, Figure]:
    """The ways of asking."""
    figures = dict[str, Figure]()
    for row in rows:
        spread, name = row.asked.spread, "" if row.name == "all" else f"_{row.name}"
        if spread:
            for percentile, value in (("p50", spread.p50), ("p95", spread.p95), ("p99", spread.p99)):
                key = f"{row.name}_{percentile}_ms" if row.name in ("cold", "cache_hit") else f"{percentile}_ms{name}"
                figures[key] = round(value, 2)
        if row.recall_at_10 is not None:
            figures[f"recall_at_10{name}"] = round(row.recall_at_10, 4)
        if row.arrived is not None:
            figures[f"segments_published{name}"] = row.arrived.published
            figures[f"segments_waiting{name}"] = row.arrived.waiting
        figures[f"failed{name}"] = len(row.asked.errors)
        figures[f"words_only{name}"] = row.asked.words_only
    return figures


def of_indexes(indexes: Sequence[Index]) -> dict[str, Figure]:
    """The indexes by themselves; the names of peers are in their keys."""
    figures = dict[str, Figure]()
    for one in indexes:
        prefix = "index" if one.name == "ours" else f"peer_{one.name}"
        figures |= {f"{prefix}_qps": round(one.qps, 1), f"{prefix}_qps_threads": one.qps_threads}
        figures |= {f"{prefix}_recall_at_10": round(one.recall_at_10, 4), f"{prefix}_p95_ms": round(one.p95_ms, 2)}
        if one.built_s:
            figures[f"{prefix}_built_s"] = one.built_s
        key = "bytes_per_vector" if one.name == "ours" else f"{prefix}_bytes_per_vector"
        figures[key] = round(one.bytes_per_vector)
    return figures


def of_peers() -> dict[str, Figure]:
    """The peers' figures at the largest size at which they have run here, which is `peer_vectors`; none if they have
    not. They do not run at the size of build/bench/search.json, which has these for that reason."""
    for size in reversed(growth.measured()):
        found = {key: value for key, value in size.items() if OF_PEERS.fullmatch(key)}
        if found and "peer_vectors" not in found:  # which would be what was taken from here before
            return found | {"peer_vectors": size["vectors"], "peer_machine": size["machine"]}
    return {}


def missing(measured: Mapping[str, Figure], kept: Mapping[str, Figure]) -> list[str]:
    """What is promised and not among `measured`, the figures of this run; the peers' may be of another, `kept`."""
    return [
        *(key for key in PROMISED if key not in measured),
        *(key for key in PROMISED_OF_PEERS if key not in kept),
    ]


def shown_rows(rows: Sequence[Row], title: str) -> Table:
    """The ways of asking, for people."""
    table = Table(
        "asked", "p50 ms", "p95 ms", "p99 ms", "recall@10", "failed", "by words only", "new segments\nstill waiting",
        title=title,
    )  # fmt: skip
    for row in rows:
        spread, found, arrived = row.asked.spread, row.recall_at_10, row.arrived
        shown = [f"{ms:.1f}" for ms in (spread.p50, spread.p95, spread.p99)]
        total = spread.count + len(row.asked.errors)
        recalled = "" if found is None else f"{found:.3f}"
        waiting = "" if arrived is None else f"{arrived.waiting} of {arrived.published}"
        failed = f"{len(row.asked.errors)} of {total}"
        table.add_row(row.name, *shown, recalled, failed, str(row.asked.words_only), waiting)
    return table


def shown_indexes(indexes: Sequence[Index], title: str) -> Table:
    """The indexes, for people."""
    table = Table(
        "index", "effort", "recall@10", "p50 ms", "p95 ms", "a second", "on threads", "bytes", "built s", title=title
    )
    for one in indexes:
        built = f"{one.built_s:.0f}" if one.built_s else ""
        times = (f"{one.p50_ms:.2f}", f"{one.p95_ms:.2f}", f"{one.qps:.0f}", str(one.qps_threads))
        table.add_row(
            one.name, str(one.effort), f"{one.recall_at_10:.3f}", *times, f"{one.bytes_per_vector:.0f}", built
        )
    return table
