"""The transformer of a sentence-transformers folder as ONNX beside it, where such folders have it on the hub."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from sentence_transformers import SentenceTransformer

from mesh.models.e5 import EXPORTED
from mesh.models.wheels import ModelError

INPUTS = ("input_ids", "attention_mask")
OUTPUT = "last_hidden_state"
GREATEST_DIFFERENCE = 1e-3


class _Traced(torch.nn.Module):  # type: ignore[misc]
    """The transformer with its inputs by place and its one output alone, as the exporter wants it."""

    def __init__(self, transformer: Any) -> None:
        super().__init__()
        self._transformer = transformer

    def forward(self, *given: Any) -> Any:
        return self._transformer(**dict(zip(INPUTS, given, strict=True))).last_hidden_state


def export(folder: Path) -> None:
    """Writes `onnx/model.onnx` into `folder`, in 32 bits. Raises ModelError when it does not do what the model does."""
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    traced = _Traced(model[0].auto_model).eval()
    example = tuple(torch.ones(2, 8, dtype=torch.int64) for _ in INPUTS)
    axes = {0: "batch", 1: "length"}
    path = folder / EXPORTED
    path.parent.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of traced branches; `_compare` says whether they matter
        torch.onnx.export(
            traced, example, str(path), input_names=list(INPUTS), output_names=[OUTPUT],
            dynamic_axes=dict.fromkeys((*INPUTS, OUTPUT), axes), opset_version=17, dynamo=False,
        )  # fmt: skip
    _compare(model, traced, path)


def _compare(model: Any, traced: _Traced, path: Path) -> None:
    """Texts of other lengths than the example's, and padding, must come out the same."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for texts in (["query: mưa"], ["passage: trời mưa rất to ở Huế", "passage: nắng"], ["passage: " + "dài " * 600]):
        tokens = model.preprocess(texts)
        given = [tokens[name] for name in INPUTS]
        with torch.inference_mode():
            wanted = traced(*given).numpy()
        (made,) = session.run(None, {name: one.numpy() for name, one in zip(INPUTS, given, strict=True)})
        real = given[1].numpy().astype(bool)
        difference = float(np.abs(made - wanted)[real].max())
        if not difference < GREATEST_DIFFERENCE:
            raise ModelError(f"the exported model differs by {difference:.4f} for {texts[0][:40]!r}")
