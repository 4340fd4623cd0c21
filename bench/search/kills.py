"""Does the index lose anything? The search server is killed (-9) again and again, and what it acknowledged is sought.

Each time in the middle of something: a burst of writes, a snapshot, a compaction. Now and then a file of vectors or of
words is damaged before the next start, by a byte that is flipped or by an end that is cut off. After each kill every
segment that was acknowledged must be found once, by its vector and by its words, and none that was deleted. What was
under way when the server died may be there or not. `make test-search-kills` runs it; no mesh is needed.
"""

import argparse
import asyncio
import contextlib
import os
import random
import socket
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
from ai2text.search.v1 import index_service_pb2, index_service_pb2_grpc
from rich.console import Console

from bench import report
from servers.common.identity import Caller
from servers.search.documents import Document, Embedding, Entry, Scope, Vector
from servers.search.query import parsed
from servers.search.store import Store
from servers.search.terms import Terms
from servers.search.vectors import Vectors

TENANT, MODEL, DIMENSIONS = "kills", "drawn", 64
SPACE = f"{MODEL}/{DIMENSIONS}"
FIRST = 21_000
"""Segments before the first kill: with these there are lists."""

WRITERS, MOST_AT_ONCE = 4, 48
"""Calls under way at a time, and segments of one."""

MOMENTS = {"writes": (0.1, 1.0), "snapshot": (0.0, 0.6), "compaction": (0.0, 1.5)}
"""What is under way, and how many seconds after its beginning the server is killed: from, to."""

DAMAGED = 0.3
"""The share of kills after which a file is damaged."""

DAMAGEABLE = (".data", ".postings", ".dead")
"""What vectors and words lie in."""

SOUGHT = 300
"""Old segments that are sought after each kill, besides all that were written since the last."""

START_TIMEOUT_S = 60.0
GONE = -1
"""The version of a segment that was deleted."""


@dataclass
class Expected:
    """What must be there: the version of each segment, and what else it may be after a kill."""

    versions: dict[int, int] = field(default_factory=dict)
    uncertain: dict[int, set[int]] = field(default_factory=dict)
    touched: set[int] = field(default_factory=set)
    count: int = 0
    """How many segments there ever were."""

    def new(self, count: int) -> range:
        """So many numbers that no segment has had."""
        self.count += count
        return range(self.count - count, self.count)

    def old(self, count: int, chance: random.Random) -> list[int]:
        """At most so many segments that nobody is writing."""
        drawn = chance.sample(range(self.count), min(self.count, count))
        return [number for number in drawn if number in self.versions and number not in self.uncertain]

    def begun(self, versions: dict[int, int]) -> None:
        """Told to the server, and not yet acknowledged."""
        for number, version in versions.items():
            self.uncertain.setdefault(number, {self.versions.get(number, GONE)}).add(version)

    def acknowledged(self, versions: dict[int, int]) -> None:
        """So it is now."""
        self.versions |= versions
        self.touched |= set(versions)
        for number in versions:
            self.uncertain.pop(number, None)


@dataclass
class Found:
    """What was wrong after one kill."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)


def segment_id(number: int) -> str:
    """The name of a segment."""
    return f"segment-{number}"


def text(number: int, version: int) -> str:
    """What it says."""
    return f"câu số {number} bản {version}"


def vector(number: int, version: int) -> Vector:
    """Another one for each version."""
    drawn = np.random.default_rng([number, version]).standard_normal(DIMENSIONS).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn), np.float32)


def document(number: int, version: int) -> Document:
    """As the server keeps it."""
    return Document(TENANT, f"recording-{number // 100}", "", segment_id(number), 0, 1000, "vi", text(number, version))


def damage(folder: Path, chance: random.Random) -> str:
    """Flip a byte of a file of the indexes, or cut off its end; says what was done, nothing without a file."""
    files = [path for path in sorted(folder.glob("*/**/*")) if path.suffix in DAMAGEABLE and path.stat().st_size]
    if not files:
        return ""
    path = chance.choice(files)
    size = path.stat().st_size
    if chance.random() < 0.5:
        os.truncate(path, chance.randrange(size))
        return f"{path.name} was cut short"
    place = chance.randrange(size)
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1 << chance.randrange(8)]))
    return f"a byte of {path.name} was flipped"


def look(folder: Path, expected: Expected, chance: random.Random) -> Found:
    """Open the files as a server does that starts, and seek what was acknowledged. What was uncertain is known then."""
    found = Found()
    shelf = Store(folder / "documents.sqlite")
    try:
        there = _versions(folder / "documents.sqlite")
        for number in expected.versions.keys() | expected.uncertain.keys() | there.keys():
            may_be = expected.uncertain.get(number, {expected.versions.get(number, GONE)})
            if (version := there.get(number, GONE)) not in may_be:
                found.lost.append(f"{segment_id(number)} is {version}, not {may_be}")
        for number in expected.uncertain:
            expected.versions[number] = there.get(number, GONE)
        indexes = Vectors(folder / "vectors", shelf)
        indexes.follow(TENANT, SPACE)
        if (alive := indexes.stats(TENANT, SPACE).vectors) != len(there):
            (found.doubled if alive > len(there) else found.lost).append(f"{alive} vectors of {len(there)} segments")
        terms = Terms(folder / "words", shelf)
        while not terms.follow(TENANT):
            pass
        old = chance.sample(sorted(there), min(SOUGHT, len(there)))
        for number in {*old, *expected.touched, *expected.uncertain}:
            _seek_words(terms, number, there.get(number, GONE), found)
            if number in there:
                _seek(indexes, number, there[number], found)
    finally:
        shelf.close()
    expected.uncertain.clear()
    expected.touched.clear()
    return found


def _versions(path: Path) -> dict[int, int]:
    """The segments in the database, by their texts."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        texts = connection.execute("SELECT text FROM documents WHERE tenant = ?", (TENANT,)).fetchall()
    words = (said.split() for (said,) in texts)
    return {int(number): int(version) for _, _, number, _, version in words}


def _seek(indexes: Vectors, number: int, version: int, found: Found) -> None:
    ids = indexes.nearest(Scope(TENANT), Embedding(MODEL, vector(number, version)), 5).ids
    id = document(number, version).id
    if ids[:1] != [id]:
        found.lost.append(f"the vector of {segment_id(number)}, version {version}")
    if ids.count(id) > 1:
        found.doubled.append(segment_id(number))


def _seek_words(terms: Terms, number: int, version: int, found: Found) -> None:
    ids = terms.matching(Scope(TENANT), parsed(f'"số {number} bản"'), 5)
    if ids != ([] if version == GONE else [document(number, version).id]):
        (found.doubled if len(ids) > 1 else found.lost).append(f"the words of {segment_id(number)}: {ids}")


@contextlib.asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, grpc.aio.Channel]]:
    """The search server on the folder, with nobody else: killed at the end of the block at the latest."""
    port, nobody = _free_port(), f"127.0.0.1:{_free_port()}"
    environment = {
        "AI2TEXT_LISTEN": f"127.0.0.1:{port}",
        "AI2TEXT_EMBEDDINGS": nobody,
        "AI2TEXT_NATS_URL": f"nats://{nobody}",
        "AI2TEXT_VALKEY_URL": f"valkey://{nobody}",
        "AI2TEXT_DATA_DIR": str(folder),
        "AI2TEXT_LOG_LEVEL": "critical",
    }
    command = (sys.executable, "-m", "servers.search")
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **environment})
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            await asyncio.wait_for(channel.channel_ready(), START_TIMEOUT_S)
            yield process, channel
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class Writer:
    """Writes without an end: new segments, other versions of old ones, deletions."""

    def __init__(self, channel: grpc.aio.Channel, expected: Expected, chance: random.Random) -> None:
        self._stub = index_service_pb2_grpc.IndexServiceStub(channel)
        self._headers = Caller(TENANT, "drill", frozenset({"admin"})).metadata()
        self._expected = expected
        self._chance = chance
        self.has_written = asyncio.Event()

    async def write(self) -> None:
        """Until the server is gone."""
        with contextlib.suppress(grpc.aio.AioRpcError):
            while True:
                versions = self._next()
                gone = [number for number, version in versions.items() if version == GONE]
                for some in (dict.fromkeys(gone, GONE), {n: v for n, v in versions.items() if v != GONE}):
                    if some:
                        self._expected.begun(some)
                        await self._tell(some)
                        self._expected.acknowledged(some)
                        self.has_written.set()

    async def snapshot(self) -> None:
        """One, if the server lives to its end."""
        await self._stub.CreateSnapshot(index_service_pb2.CreateSnapshotRequest(), metadata=self._headers)

    async def compaction(self) -> None:
        """One, if the server lives to its end."""
        await self._stub.CompactIndex(index_service_pb2.CompactIndexRequest(), metadata=self._headers)

    def _next(self) -> dict[int, int]:
        count = self._chance.randint(1, MOST_AT_ONCE)
        changed = {number: self._changed(number) for number in self._expected.old(count // 4, self._chance)}
        return changed | dict.fromkeys(self._expected.new(count - len(changed)), 0)

    def _changed(self, number: int) -> int:
        return GONE if self._chance.random() < 0.5 else self._expected.versions[number] + 1

    async def _tell(self, versions: dict[int, int]) -> None:
        if GONE in versions.values():
            ids = [segment_id(number) for number in versions]
            request = index_service_pb2.DeleteDocumentsRequest(segment_ids=ids)
            await self._stub.DeleteDocuments(request, metadata=self._headers, timeout=30)
            return
        documents = [_message(number, version) for number, version in versions.items()]
        upsert = index_service_pb2.UpsertDocumentsRequest(documents=documents)
        await self._stub.UpsertDocuments(upsert, metadata=self._headers, timeout=30)


def _message(number: int, version: int) -> index_service_pb2.IndexDocument:
    one = document(number, version)
    return index_service_pb2.IndexDocument(
        recording_id=one.recording_id, segment_id=one.segment_id, start_ms=one.start_ms, end_ms=one.end_ms,
        language_code=one.language_code, text=one.text, model=MODEL, vector=vector(number, version).tolist(),
    )  # fmt: skip


async def killed(folder: Path, moment: str, expected: Expected, chance: random.Random) -> None:
    """One life of the server."""
    async with served(folder) as (process, channel):
        writer = Writer(channel, expected, chance)
        writing = [asyncio.create_task(writer.write()) for _ in range(WRITERS)]
        await asyncio.wait_for(writer.has_written.wait(), START_TIMEOUT_S)
        others = []
        if moment != "writes":
            others.append(asyncio.create_task(getattr(writer, moment)()))
        await asyncio.sleep(chance.uniform(*MOMENTS[moment]))
        process.kill()
        await process.wait()
        await asyncio.gather(*writing)
        await asyncio.gather(*others, return_exceptions=True)


def fill(folder: Path, count: int, expected: Expected) -> None:
    """What is there before the first kill."""
    shelf = Store(folder / "documents.sqlite")
    entries = [Entry(document(number, 0), Embedding(MODEL, vector(number, 0))) for number in range(count)]
    for start in range(0, count, 1_000):
        shelf.put(entries[start : start + 1_000])
    shelf.close()
    expected.acknowledged(dict.fromkeys(expected.new(count), 0))
    expected.touched.clear()


def run(folder: Path, kills: int, seed: int, first: int, told: Console) -> dict[str, report.Figure]:
    """Kill so often; the figures."""
    chance, expected, moments = random.Random(seed), Expected(), Counter[str]()
    fill(folder, first, expected)
    lost, doubled, damaged = list[str](), list[str](), 0
    for kill in range(1, kills + 1):
        moment = list(MOMENTS)[kill % len(MOMENTS)]
        asyncio.run(killed(folder, moment, expected, chance))
        what = damage(folder, chance) if chance.random() < DAMAGED else ""
        found = look(folder, expected, chance)
        moments[moment] += 1
        damaged += bool(what)
        lost += found.lost
        doubled += found.doubled
        alive = sum(version != GONE for version in expected.versions.values())
        told.print(f"{kill:3} {moment:10} {alive:6} segments, lost {len(lost)}, doubled {len(doubled)} {what}")
        for wrong in (*found.lost, *found.doubled)[:5]:
            told.print(f"    [red]{wrong}[/]")
    each = {f"kills_in_{moment}": count for moment, count in moments.items()}
    counts = {"acknowledged": len(expected.versions), "lost": len(lost), "doubled": len(doubled), "damaged": damaged}
    return {"seed": seed, "kills": kills, **each, **counts}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def main(arguments: Iterable[str] | None = None) -> int:
    """Run, print a line for each kill, write build/bench/search_kills.json; 1 when anything was lost or doubled."""
    parser = argparse.ArgumentParser(prog="python -m bench.search.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="(default: one by chance)")
    parser.add_argument("--first", type=int, default=FIRST, help="segments at the beginning (default: %(default)s)")
    chosen = parser.parse_args(None if arguments is None else list(arguments))
    console = Console()
    console.print(f"seed {chosen.seed}")
    with tempfile.TemporaryDirectory(prefix="ai2text-search-kills-") as folder:
        figures = run(Path(folder), chosen.kills, chosen.seed, chosen.first, console)
    console.print(f"figures: {report.write('search_kills', figures)}")
    return 1 if figures["lost"] or figures["doubled"] else 0


if __name__ == "__main__":
    sys.exit(main())
