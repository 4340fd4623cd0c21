"""Search over ten million segments, through the edge and the server, and the index of vectors beside its peers.

On the index of `make bench-search-build`, which a mesh of its own serves: 50 questions a second whether they are
answered or not, with filters, with writes beside, from the cache of hot queries, and from a disk whose pages were
dropped from memory. The right answers come from comparing every vector. `make bench-search` does all of it.
"""

import argparse
import asyncio
import gc
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop
from rich.console import Console

from bench import report
from bench.report import Figure
from bench.search import alone, build, figures, truth
from bench.search.alone import Index, NotMeasured
from bench.search.arriving import Arrivals
from bench.search.asking import Asker
from bench.search.contents import SHARES, TENANT, Contents
from bench.search.figures import Row
from bench.search.truth import EVERYTHING
from bench.search.vectors import Ids, recall
from bench.usage import Snapshot
from mesh.home import Home
from mesh.keys import Keys
from mesh.lifecycle import Mesh
from mesh.ports import Ports
from servers.search.store import Store

NAME = "search"
SECTIONS = ("alone", "peers", "service", "hot", "cold")
PARTS = ("traces", "valkey", "nats", "triton", "embeddings", "search", "envoy")
PORT_BASE = 8480
RATE, SECONDS = 50.0, 30.0
WRITES = 100.0
AT_ONCE = 8
RECALL = 0.95
HOT = 20
"""Questions that are asked again and again, when the cache is on."""

PEERS_UP_TO = 1_000_000
"""Peers get no more vectors than this: their graphs take hours for more."""


@dataclass(frozen=True)
class Ground:
    """What is searched, by whom."""

    contents: Contents
    count: int
    exact: dict[str, Ids]
    home: Home
    ports: Ports
    console: Console

    @contextmanager
    def mesh(self, hot_cache: bool) -> Iterator[Mesh]:
        """The parts that a search needs, on the index that was built; down at the end."""
        os.environ["AI2TEXT_HOT_CACHE"] = str(hot_cache).lower()
        mesh = Mesh(self.home, self.ports, self.console)
        try:
            mesh.up(PARTS)
            yield mesh
        finally:
            mesh.down()

    def asker(self) -> Asker:
        """Asks through the edge."""
        token = Keys(self.home.keys).mint("bench", TENANT)
        return Asker(self.ports.address("edge"), (("authorization", f"Bearer {token}"),))

    def arrivals(self) -> Arrivals:
        """New segments for the index, told over NATS."""
        shelf = Store(self.home.search / "documents.sqlite")
        shelf.close()
        return Arrivals(f"nats://{self.ports.address('nats')}", f"search-{shelf.index_id}", self.contents)

    @property
    def questions(self) -> Sequence[str]:
        """Their right answers are known."""
        return self.contents.questions(len(self.exact[EVERYTHING]))[0]


async def recall_of(asker: Asker, texts: Sequence[str], exact: Ids, *recording_ids: str) -> float:
    """Of the service, one question after the other."""
    return recall([await asker.nearest(text, *recording_ids) for text in texts], exact)


async def warm_up(ground: Ground, asker: Asker, texts: Sequence[str], rate: float) -> None:
    """See Asker; says when the figures will be of an index that does not answer everything."""
    if not await asker.warm_up(texts, rate):
        ground.console.print("[yellow]the index does not answer every question yet: is it larger than the memory?[/]")


async def service(ground: Ground, rate: float, seconds: float) -> tuple[list[Row], float]:
    """Every way of asking but from the cache; the second is the most questions a second."""
    texts, rows = ground.questions, list[Row]()
    async with ground.asker() as asker:
        await warm_up(ground, asker, texts, rate)  # for what is met before, see `cold`
        found = await recall_of(asker, texts, ground.exact[EVERYTHING])
        rows.append(Row("all", await asker.open_loop(texts, rate, seconds), found))
        for share in SHARES:
            found = await recall_of(asker, texts, ground.exact[share.name], share.recording_id)
            asked = await asker.open_loop(texts, rate, seconds, share.recording_id)
            rows.append(Row(f"filter_{share.name}", asked, found))
        run = int(time.time())  # the embeddings server remembers what an earlier run has asked
        never_asked = [f"{text} {run} {number}" for number, text in enumerate(texts)]
        rows.append(Row("never_asked", await asker.open_loop(never_asked, rate, len(never_asked) / rate)))
        arrivals = ground.arrivals()
        gc.collect()
        gc.freeze()  # to look through a million texts would stop whoever asks for a second
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(arrivals.keep_coming(WRITES, seconds))
            asking = tasks.create_task(asker.open_loop(texts, rate, seconds))
        rows.append(Row("with_writes", asking.result(), arrived=writing.result()))
        await arrivals.go()
        _, qps = await asker.closed_loop(texts, AT_ONCE, seconds)
    return rows, qps


async def hot(ground: Ground, rate: float, seconds: float) -> Row:
    """A few questions again and again, with the cache of hot queries."""
    async with ground.asker() as asker:
        await warm_up(ground, asker, ground.questions[:HOT], rate)
        return Row("cache_hit", await asker.open_loop(ground.questions[:HOT], rate, seconds))


async def cold(ground: Ground, rate: float, seconds: float) -> Row:
    """Questions right after the start, nothing of the index being in memory; their vectors are known."""
    async with ground.asker() as asker:
        await asker.embed(ground.questions)
        return Row("cold", await asker.open_loop(ground.questions, rate, seconds))


def drop_from_memory(folder: Path) -> None:
    """Have the system forget what it keeps of the files of the folder; nobody may have them open."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)


def run(ground: Ground, sections: Sequence[str], rate: float, seconds: float) -> tuple[list[Row], dict[str, Figure]]:
    """The sections of the service."""
    rows, found = list[Row](), dict[str, Figure]()
    if "cold" in sections:
        drop_from_memory(ground.home.search)
        with ground.mesh(hot_cache=False):
            rows.append(uvloop.run(cold(ground, rate, seconds)))
    if "service" in sections:
        with ground.mesh(hot_cache=False):
            asked, qps = uvloop.run(service(ground, rate, seconds))
            rows += asked
            memory = sum(Snapshot.take(ground.home).rss.values())
            found |= {"qps": round(qps, 1), "memory_mib": memory >> 20}
    if "hot" in sections:
        with ground.mesh(hot_cache=True):
            rows.append(uvloop.run(hot(ground, rate, seconds)))
    return rows, found


def by_themselves(ground: Ground, sections: Sequence[str], peers: Sequence[str]) -> tuple[list[Index], list[str]]:
    """Our index and the peers'; the second says which were not measured, and why."""
    exact = ground.exact[EVERYTHING]
    indexes = [alone.ours(ground.home, ground.contents, exact, RECALL)]
    if "peers" not in sections:
        return indexes, []
    if ground.count > PEERS_UP_TO:
        return indexes, [f"no peers: they get at most {PEERS_UP_TO:,} vectors (--vectors)"]
    failures = list[str]()
    for found in alone.peers(ground.contents, ground.count, exact, RECALL, peers):
        if isinstance(found, NotMeasured):
            failures.append(str(found))
        else:
            indexes.append(found)
            asked = f"{found.qps:.0f} a second on {found.qps_threads} threads"
            ground.console.print(f"{found.name}: {asked}, built in {found.built_s:.0f} s")
    return indexes, failures


def keep(console: Console, vectors: int, measured: dict[str, Figure]) -> None:
    """Add the figures to those of the size, and the peers' to those of the largest; says what is missing."""
    name = NAME if vectors == build.VECTORS else f"{NAME}-{vectors}"
    path = report.merge(name, measured | {"vectors": vectors, "machine": report.machine()})
    if peers := figures.of_peers():
        report.merge(NAME, peers, [figures.OF_PEERS])
    console.print(f"figures: {path}")
    if missing := figures.missing(measured, report.read(NAME)):
        console.print(f"not measured in this run, and of peers in none: {', '.join(missing)}")


def main() -> int:
    """Run, print tables, add the figures to build/bench/search.json; 1 when a question failed, 2 without an index."""
    parser = argparse.ArgumentParser(prog="python -m bench.search", description=__doc__)
    parser.add_argument("--vectors", type=int, default=build.VECTORS, help="which index (default: %(default)s)")
    parser.add_argument("--only", nargs="*", choices=SECTIONS, default=SECTIONS, help="sections (default: all)")
    parser.add_argument("--peers", nargs="*", choices=alone.PEERS, default=alone.PEERS, help="(default: all)")
    parser.add_argument("--rate", type=float, default=RATE, help="questions a second (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each way to ask (default: %(default)s)")
    parser.add_argument("--traced", type=int, default=1, help="per cent of the questions (default: %(default)s)")
    parser.add_argument("--install", action="store_true", help="install the peers first (250 MB under build/peers)")
    arguments = parser.parse_args()
    console = Console()
    home = build.home(arguments.vectors)
    exact = truth.known(home.root / "truth.npz")
    if not exact:
        console.print(
            f"{home.root} holds no index: run `python -m bench.search.build --vectors {arguments.vectors}` first"
        )
        return 2
    if arguments.install:
        alone.install()
    os.environ["AI2TEXT_TRACE_PERCENT"] = str(arguments.traced)
    contents = Contents.around(home.models / build.MODEL)
    base = int(os.environ.get("AI2TEXT_BENCH_PORT_BASE", PORT_BASE))
    ground = Ground(contents, arguments.vectors, exact, home, Ports.from_base(base), console)
    title = f"{arguments.vectors:,} vectors, {report.machine()}"
    measured: dict[str, Figure] = {}
    if {"alone", "peers"} & set(arguments.only):
        indexes, failures = by_themselves(ground, arguments.only, arguments.peers)
        console.print(figures.shown_indexes(indexes, title))
        for failure in failures:
            console.print(failure, style="yellow")
        measured |= figures.of_indexes(indexes)
    rows, more = run(ground, arguments.only, arguments.rate, arguments.seconds)
    if rows:
        console.print(
            figures.shown_rows(
                rows, f"{title}, {arguments.rate:g} a second through the edge, {arguments.traced} % traced"
            )
        )
    errors = Counter(error for row in rows for error in row.asked.errors)
    for error, times in errors.most_common(5):
        console.print(f"  {times} times {error}", style="red")
    keep(console, arguments.vectors, measured | figures.of_rows(rows) | more)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
