"""Any sentence-transformers model as an Encoder: in PyTorch, or with its transformer in ONNX Runtime.

ONNX Runtime takes 0.4 of PyTorch's time for one text and 0.7 for eight, and gives the same vectors
(`make bench-embeddings`). Tokens, pooling and whatever else the model has are sentence-transformers' either way.
"""

import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from batches import by_length
from encoder import EXPORTED, MINI_BATCH, Vectors, closeness
from lanes import making_way

Features = dict[str, Any]
"""What goes from one module of the model to the next, tensors by their names."""


class TorchEncoder:
    """All of the model in PyTorch."""

    many_at_once = False

    def __init__(self, folder: Path, device: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self._model = SentenceTransformer(str(folder), device=device, local_files_only=True)
        self.prompts: dict[str, str] = dict(self._model.prompts)

    def vectors(self, texts: Sequence[str], patient: bool = False) -> Vectors:
        """See Encoder."""
        encode = self._model.encode
        made = encode(list(texts), batch_size=MINI_BATCH, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(made, np.float32)

    def closeness(self, pairs: Sequence[tuple[str, str]]) -> Vectors:
        """See Encoder."""
        return closeness(pairs, lambda texts: _states(self._features(texts)))

    def _features(self, texts: list[str]) -> Features:
        features: Features = dict(self._model.preprocess(texts))  # tensors, and what kind of input it is
        features |= {name: one.to(self._model.device) for name, one in features.items() if torch.is_tensor(one)}
        with torch.inference_mode():
            return dict(self._model[0](features))


class OnnxEncoder:
    """The transformer in ONNX Runtime, of which patient texts have a thread that makes way. Only that: what holds
    Python's lock must not be kept from the processor, for all wait for it. Where the transformer has several threads,
    the others are shared, and make way for nobody."""

    many_at_once = True

    def __init__(self, folder: Path, threads: int) -> None:
        import onnxruntime

        torch.set_num_threads(threads)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.enable_mem_pattern = False  # each batch has another shape
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # Whisper wants the cores too
        exported = str(folder / EXPORTED)
        self._session = onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])
        self._inputs = [given.name for given in self._session.get_inputs()]
        self._model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        self._model[0].auto_model = torch.nn.Identity()  # its weights are in the session
        self._making_way = making_way("patient")
        self._tokenizing = threading.Lock()
        self.prompts: dict[str, str] = dict(self._model.prompts)

    def vectors(self, texts: Sequence[str], patient: bool = False) -> Vectors:
        """See Encoder."""
        batches = by_length(texts, MINI_BATCH)
        made = np.concatenate([self._batch([texts[place] for place in places], patient) for places in batches])
        back = np.argsort([place for places in batches for place in places])
        return np.ascontiguousarray(made[back])

    def closeness(self, pairs: Sequence[tuple[str, str]]) -> Vectors:
        """See Encoder."""
        return closeness(pairs, lambda texts: _states(self._features(texts)))

    def _batch(self, texts: list[str], patient: bool) -> Vectors:
        features = self._features(texts, patient)
        with torch.inference_mode():
            for module in list(self._model)[1:]:
                features = module(features)
            unit = torch.nn.functional.normalize(features["sentence_embedding"], dim=1)
        return np.asarray(unit.numpy(), np.float32)

    def _features(self, texts: list[str], patient: bool = False) -> Features:
        with self._tokenizing:  # a tokenizer that two threads use at a time raises
            features: Features = dict(self._model.preprocess(texts))
        given = {name: features[name].numpy() for name in self._inputs if name in features}
        given |= {name: np.zeros_like(given["input_ids"]) for name in self._inputs if name not in given}
        run = partial(self._session.run, None, given)
        (made, *_) = self._making_way.submit(run).result() if patient else run()
        features["token_embeddings"] = torch.from_numpy(made)
        return features


def _states(features: Features) -> list[Vectors]:
    """Of each text the vectors of its tokens."""
    made = features["token_embeddings"].cpu().numpy()
    masks = features["attention_mask"].cpu().numpy().astype(bool)
    return [rows[mask] for rows, mask in zip(made, masks, strict=True)]
