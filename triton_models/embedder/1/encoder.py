"""A sentence-transformers model as a function from texts to unit vectors.

On the CPU the transformer runs in ONNX Runtime where the model's folder has it exported (`onnx/model.onnx`, as many
folders on the hub do): that takes 0.4 of PyTorch's time for one text and 0.7 for eight, and gives the same vectors
(`make bench-embeddings`). Tokens, pooling and whatever else the model has are sentence-transformers' either way.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from batches import by_length

MINI_BATCH = 8
EXPORTED = Path("onnx") / "model.onnx"

Vectors = NDArray[np.float32]


class Encoder(Protocol):
    """Texts, dressed already, as vectors of length 1 in their order."""

    prompts: dict[str, str]

    def vectors(self, texts: Sequence[str]) -> Vectors: ...


class TorchEncoder:
    """All of the model in PyTorch."""

    def __init__(self, model: SentenceTransformer) -> None:
        self._model = model
        self.prompts: dict[str, str] = dict(model.prompts)

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """See Encoder."""
        encode = self._model.encode
        made = encode(list(texts), batch_size=MINI_BATCH, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(made, np.float32)


class OnnxEncoder:
    """The transformer in ONNX Runtime."""

    def __init__(self, model: SentenceTransformer, exported: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.enable_mem_pattern = False  # each batch has another shape
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # Whisper wants the cores too
        self._session = onnxruntime.InferenceSession(str(exported), options, providers=["CPUExecutionProvider"])
        self._inputs = [given.name for given in self._session.get_inputs()]
        model[0].auto_model = torch.nn.Identity()  # its weights are in the session now
        self._model = model
        self.prompts: dict[str, str] = dict(model.prompts)

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """See Encoder."""
        batches = by_length(texts, MINI_BATCH)
        made = np.concatenate([self._batch([texts[place] for place in places]) for places in batches])
        back = np.argsort([place for places in batches for place in places])
        return np.ascontiguousarray(made[back])

    def _batch(self, texts: list[str]) -> Vectors:
        features: dict[str, Any] = dict(self._model.preprocess(texts))
        given = {name: features[name].numpy() for name in self._inputs if name in features}
        given |= {name: np.zeros_like(given["input_ids"]) for name in self._inputs if name not in given}
        with torch.inference_mode():
            features["token_embeddings"] = torch.from_numpy(self._session.run(None, given)[0])
            for module in list(self._model)[1:]:
                features = module(features)
            unit = torch.nn.functional.normalize(features["sentence_embedding"], dim=1)
        return np.asarray(unit.numpy(), np.float32)


def load(folder: str, device: str) -> Encoder:
    """The model in `folder` on `device`, such as cpu or cuda."""
    threads = int(os.environ.get("AI2TEXT_EMBEDDER_THREADS") or max(1, (os.cpu_count() or 1) // 2))
    torch.set_num_threads(threads)
    model = SentenceTransformer(folder, device=device, local_files_only=True)
    exported = Path(folder) / EXPORTED
    return OnnxEncoder(model, exported, threads) if device == "cpu" and exported.is_file() else TorchEncoder(model)
