"""A sentence-transformers model as a function from texts to unit vectors, and from pairs of texts to their closeness.

On the CPU the transformer runs in compiled loops where mesh/models assembled the model and the processor has AVX2
(`compiled_encoder`); else in ONNX Runtime where the model's folder has it exported (`onnx/model.onnx`, as many folders
on the hub do), or in PyTorch (`torch_encoders`). What each takes, `make bench-embeddings` says.

Closeness is late interaction (Khattab and Zaharia, ColBERT, SIGIR 2020) over the vectors that the transformer has for
tokens: for each token of the question the largest cosine to any token of the text, and of these the mean. The model was
not trained for it; what it gains nevertheless is in docs/adr/0014-reranking-by-late-interaction.md.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from batches import by_length

MINI_BATCH = 8
BACKEND = "AI2TEXT_EMBEDDER_BACKEND"
BACKENDS = ("compiled", "onnx", "torch")
COMPILED, EXPORTED = Path("compiled"), Path("onnx") / "model.onnx"
"""Where in a model's folder the first two find theirs."""

Vectors = NDArray[np.float32]


class Encoder(Protocol):
    """Texts, dressed already, as vectors of length 1 in their order."""

    prompts: dict[str, str]
    many_at_once: bool
    """Whether several threads may use it at a time, and what is `patient` makes way for what is not."""

    def vectors(self, texts: Sequence[str], patient: bool = False) -> Vectors:
        """Shape [texts, dimensions]. `patient`: nobody waits for them."""
        ...

    def closeness(self, pairs: Sequence[tuple[str, str]]) -> Vectors:
        """Of each question to the text beside it, -1 to 1; shape [pairs]."""
        ...


def closeness(pairs: Sequence[tuple[str, str]], states: Callable[[list[str]], Sequence[Vectors]]) -> Vectors:
    """See Encoder; `states` are, of each text, a vector for each token."""
    asked, texts = zip(*pairs, strict=True)
    known = dict(_tokens(list(dict.fromkeys(asked)), states))
    found = dict(_tokens(list(dict.fromkeys(texts)), states))
    return np.array([(known[one] @ found[text].T).max(axis=1).mean() for one, text in pairs], np.float32)


def unit(rows: Vectors) -> Vectors:
    """The same at length 1."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)


def _tokens(texts: list[str], states: Callable[[list[str]], Sequence[Vectors]]) -> Iterator[tuple[str, Vectors]]:
    """Each text with the vectors of its tokens, of length 1, shape [tokens, dimensions]."""
    for places in by_length(texts, MINI_BATCH):
        some = [texts[place] for place in places]
        yield from ((text, unit(rows)) for text, rows in zip(some, states(some), strict=True))


def load(folder: str, device: str) -> Encoder:
    """The model in `folder` on `device`, such as cpu or cuda; on AI2TEXT_EMBEDDER_THREADS (default: half of the cores),
    by the first of BACKENDS that can, or by what AI2TEXT_EMBEDDER_BACKEND names. ValueError when that cannot."""
    threads = int(os.environ.get("AI2TEXT_EMBEDDER_THREADS") or max(1, (os.cpu_count() or 1) // 2))
    named = os.environ.get(BACKEND)
    if named and named not in BACKENDS:
        raise ValueError(f"{BACKEND}={named}: there are {', '.join(BACKENDS)}")
    for backend in [named] if named else BACKENDS:
        encoder = _LOADERS[backend](Path(folder), device, threads)
        if encoder is not None:
            return encoder
    raise ValueError(f"{BACKEND}={named}: not for {folder} on {device} of this machine")


def _compiled(folder: Path, device: str, threads: int) -> Encoder | None:
    if device != "cpu" or not (folder / COMPILED).is_dir():
        return None
    from compiled_encoder import CompiledEncoder, supported

    return CompiledEncoder(folder, threads) if supported() else None


def _onnx(folder: Path, device: str, threads: int) -> Encoder | None:
    if device != "cpu" or not (folder / EXPORTED).is_file():
        return None
    from torch_encoders import OnnxEncoder

    return OnnxEncoder(folder, threads)


def _torch(folder: Path, device: str, threads: int) -> Encoder:
    from torch_encoders import TorchEncoder

    return TorchEncoder(folder, device, threads)


_LOADERS: dict[str, Callable[[Path, str, int], Encoder | None]] = {
    "compiled": _compiled,
    "onnx": _onnx,
    "torch": _torch,
}
