"""Any number of vectors that lie as real ones do, the same every time, made when they are wanted.

The real ones are the embedder's of the shared texts; they are made once and kept in build/bench/search. A drawn one is
a real one moved: towards the common mean, and by noise whose covariance is a power of that of the real ones, so that
the drawn spread as far as the real. How far (NOISE) and in how many directions (POWER) was chosen so that nearest
neighbours are as near, and the intrinsic dimension about the same, as among as many real ones; `python -m
bench.search.vectors` prints both.

Vectors come in blocks, each from a seed of its own: exact search over ten million need keep none of them, as the block
can be made again. Two machines agree but for the last bits of a float.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from bench import report
from bench.search import texts as corpus
from bench.search.shape import Matrix, Shape, shape
from mesh.home import REPOSITORY, Home

FOLDER = report.FOLDER / "search"
ENCODE = REPOSITORY / "bench" / "search" / "encode.py"
PYTHON = REPOSITORY / ".venv-triton" / "bin" / "python"

BLOCK = 50_000
SEED = 5
NOISE = 0.65
POWER = 1.5
RANK = 128
"""Directions of the noise, most of its covariance by far."""

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Real:
    """Vectors of texts, each of length 1."""

    passages: Matrix
    questions: Matrix


@dataclass(frozen=True)
class Nearest:
    """The answers of exact search: ids and cosines, each [questions, k], nearest first."""

    ids: Ids
    cosines: Matrix


def real(model: Path, texts: Path = corpus.DEFAULT_FOLDER) -> Real:
    """The vectors of the shared texts, from build/bench/search or else from the embedder, which takes three minutes."""
    found = corpus.load(texts)
    return Real(_encoded(model, "passage", found.passages), _encoded(model, "query", found.questions))


def _encoded(model: Path, kind: str, texts: Sequence[str]) -> Matrix:
    path = FOLDER / f"{kind}.npy"
    if not path.is_file():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            listed = Path(folder) / "texts.jsonl"
            listed.write_text("".join(f"{json.dumps(text)}\n" for text in texts), encoding="utf-8")
            subprocess.run([PYTHON, ENCODE, model, listed, path, "--kind", kind], check=True)
    vectors: Matrix = np.load(path)
    if len(vectors) != len(texts):
        raise SystemExit(f"{path} holds other texts; remove it, and it is made anew")
    return vectors


class Cloud:
    """Vectors drawn around `anchors`."""

    def __init__(
        self, anchors: Matrix, seed: int = SEED, block: int = BLOCK, noise: float = NOISE, power: float = POWER
    ) -> None:
        self._seed = seed
        self._block = block
        self._noise = noise
        self._mean = anchors.mean(axis=0)
        self._around = anchors - self._mean
        self._directions = _directions(self._around, power)

    def blocks(self, count: int) -> Iterator[tuple[int, Matrix]]:
        """The first `count` vectors, block by block, each with the id of its first."""
        for first in range(0, count, self._block):
            yield first, self.block(first // self._block)[: count - first]

    def block(self, number: int) -> Matrix:
        """The vectors with the ids from `number` times the size of a block on."""
        rng = np.random.default_rng([self._seed, number])
        anchors = rng.integers(0, len(self._around), self._block)
        vectors = rng.standard_normal((self._block, len(self._directions)), np.float32) @ self._directions
        vectors *= self._noise
        vectors += np.sqrt(1 - self._noise**2).astype(np.float32) * self._around[anchors]
        vectors += self._mean
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


def _directions(around: Matrix, power: float) -> Matrix:
    """Shape [rank, dimensions]: normal noise times this varies, in all, as much as `around` does."""
    values, vectors = np.linalg.eigh((around.T @ around / len(around)).astype(np.float64))
    shares = np.maximum(values[-RANK:], 0) ** power
    shares *= values.sum() / shares.sum()
    return np.asarray((vectors[:, -RANK:] * np.sqrt(shares)).T, np.float32)


def nearest(questions: Matrix, blocks: Iterator[tuple[int, Matrix]], count: int) -> Nearest:
    """Exact search through all blocks: the `count` vectors with the largest inner products with each question."""
    ids: Ids = np.empty((len(questions), 0), np.int64)
    scores: Matrix = np.empty((len(questions), 0), np.float32)
    for first, block in blocks:
        products = questions @ block.T
        best = np.argpartition(products, -min(count, len(block)), axis=1)[:, -min(count, len(block)) :]
        ids = np.hstack([ids, best + first])
        scores = np.hstack([scores, np.take_along_axis(products, best, axis=1)])
        order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        ids, scores = np.take_along_axis(ids, order, axis=1), np.take_along_axis(scores, order, axis=1)
    return Nearest(ids, scores)


def recall(found: Sequence[Sequence[int]] | Ids, exact: Ids, within: int = 10) -> float:
    """The share of the `within` nearest of each question that are among the first `within` found."""
    pairs = zip(found, exact, strict=True)
    hits = sum(len(set(list(some)[:within]) & set(right[:within].tolist())) for some, right in pairs)
    return hits / (len(exact) * within)


def table(shapes: dict[str, Shape]) -> Table:
    """The shapes for people."""
    shown = Table("vectors", "cosine to the 1st\n5 / 50 / 95 %", "to the 10th", "dimension\n(MLE, 10)", "TwoNN")
    for name, one in shapes.items():
        spread = [" / ".join(f"{value:.3f}" for value in three) for three in (one.first, one.tenth)]
        shown.add_row(name, *spread, f"{one.dimension:.1f}", f"{one.two_nn:.1f}")
    return shown


def main() -> int:
    """Compare real vectors with as many that are drawn."""
    parser = argparse.ArgumentParser(prog="python -m bench.search.vectors", description=__doc__)
    parser.add_argument("--data", type=Path, default=corpus.DEFAULT_FOLDER)
    parser.add_argument("--model", type=Path, default=Home.from_env().models / "multilingual-e5-small")
    arguments = parser.parse_args()
    known = real(arguments.model, arguments.data)
    drawn = Cloud(known.passages).block(0)[: len(known.passages)]
    shapes = {
        "real among themselves": shape(known.passages, known.passages),
        "drawn among themselves": shape(drawn, drawn),
        "real as seen from questions": shape(known.questions, known.passages),
        "drawn as seen from questions": shape(known.questions, drawn),
    }
    Console().print(table(shapes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
