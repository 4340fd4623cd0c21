"""The recorded path: writes to metadata, live speech beside the batch, uploads onto a store that fails now and then.

All of it runs on this machine, the callers too. `make bench-pipeline` runs it on the mesh of `make up`.
"""

import argparse
import asyncio
import sys
import uuid
from collections import Counter

import uvloop
from rich.console import Console
from rich.table import Table

from bench import beside, ingestion, report, voices, writes
from bench.ground import Ground
from bench.ingestion import Ingested
from bench.measures import Figures
from bench.writes import Writes
from mesh import runtime
from mesh.keys import Keys

NAME = "pipeline"
SECTIONS = ("writes", "live", "ingestion")
"""In this order: what is uploaded is still being transcribed for a while."""
RATE = 300.0
SECONDS = 30.0
WARM_UP_S = 3.0
SPEAKERS, SPEAKING_S = 2, 120.0
UPLOADS = 200
FAILING = 0.05


async def written(ground: Ground, rate: float, seconds: float) -> Writes:
    """Writes of a tenant of their own, after a short warm-up."""
    token = Keys(ground.home.keys).mint("bench", f"bench-{uuid.uuid4().hex[:8]}")
    headers = (("authorization", f"Bearer {token}"),)
    await writes.measure(ground.target, headers, rate, WARM_UP_S)
    return await writes.measure(ground.target, headers, rate, seconds)


def shown_writes(found: Writes, rate: float) -> Table:
    """The writes as a table."""
    spread = found.spread
    title = f"AppendSegments through the edge, {writes.TRACED} % traced"
    table = Table("writes a second", "p50", "p95", "p99", "failed", title=title)
    percentiles = (f"{ms:.1f} ms" for ms in (spread.p50, spread.p95, spread.p99))
    table.add_row(f"{rate:.0f}", *percentiles, f"{len(found.errors)} of {spread.count + len(found.errors)}")
    return table


def shown_ingestion(found: Ingested) -> Table:
    """The uploads as a table."""
    table = Table("uploads", "acknowledged", "requests to the store", "of these failed", "seen by clients")
    seen = (found.acknowledged + len(found.errors), found.acknowledged, found.store_requests, found.store_failures)
    table.add_row(*map(str, seen), str(len(found.errors)))
    return table


def shown_live(alone: Figures, beside_batch: Figures) -> Table:
    """The two rounds as a table."""
    table = Table("speakers", "batch", "p50", "p95", "finals", title="End of speech to final")
    for batch, shown in (("idle", alone), ("busy", beside_batch)):
        percentiles = (f"{ms:.0f} ms" for ms in (shown.latency.p50, shown.latency.p95))
        table.add_row(str(shown.streams), batch, *percentiles, str(shown.latency.count))
    return table


def told(console: Console, errors: list[str]) -> None:
    """The errors, each kind once."""
    for error, times in Counter(errors).most_common(5):
        console.print(f"  [red]{times} times {error}[/]")


def main() -> int:
    """Run, print tables, add the figures to build/bench/pipeline.json; 1 when an upload failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.pipeline", description=__doc__)
    Ground.add_arguments(parser)
    parser.add_argument("--only", nargs="*", choices=SECTIONS, help="sections (default: all)")
    parser.add_argument("--rate", type=float, default=RATE, help="writes a second (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of writes (default: %(default)s)")
    parser.add_argument("--uploads", type=int, default=UPLOADS, help="how many files (default: %(default)s)")
    parser.add_argument("--failing", type=float, default=FAILING, help="share of the store's requests that fail")
    parser.add_argument("--seed", type=int, default=20261125, help="of what fails (default: %(default)s)")
    options = parser.parse_args()
    ground, console = Ground.of(options), Console(highlight=False)
    wanted = options.only or SECTIONS
    console.print(report.machine())
    errors: list[str] = []
    if "writes" in wanted:
        try:
            with writes.sampled(ground.ports):
                found = uvloop.run(written(ground, options.rate, options.seconds))
        except runtime.EdgeAway as error:
            sys.exit(str(error))
        console.print(shown_writes(found, options.rate))
        told(console, found.errors)
        p95 = round(found.spread.p95, 1)
        report.merge(NAME, {"metadata_write_p95_ms": p95, "metadata_error_rate": round(found.error_rate, 5)})
    if "live" in wanted:
        said = voices.ready(ground.clips())
        alone, busy = beside.measure(ground, said, SPEAKERS, SPEAKING_S, options.seed)
        console.print(shown_live(alone, busy))
        p95s = {"without": alone.latency.p95, "with": busy.latency.p95}
        report.merge(NAME, {f"live_p95_ms_{word}_batch": round(ms) for word, ms in p95s.items()})
    if "ingestion" in wanted:
        sent = ingestion.measure(ground, ground.clips(), options.uploads, options.failing, options.seed)
        ingested = asyncio.run(sent)
        console.print(shown_ingestion(ingested))
        told(console, ingested.errors)
        errors += ingested.errors
        report.merge(NAME, {"ingestion_retry_success_rate": round(ingested.retry_success_rate, 5)})
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
