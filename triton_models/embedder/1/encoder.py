"""A sentence-transformers model as a function from texts to unit vectors, and from pairs of texts to their closeness.

On the CPU the transformer runs in ONNX Runtime where the model's folder has it exported (`onnx/model.onnx`, as many
folders on the hub do): that takes 0.4 of PyTorch's time for one text and 0.7 for eight, and gives the same vectors
(`make bench-embeddings`). Tokens, pooling and whatever else the model has are sentence-transformers' either way.

Closeness is late interaction (Khattab and Zaharia, ColBERT, SIGIR 2020) over the vectors that the transformer has for
tokens: for each token of the question the largest cosine to any token of the text, and of these the mean. The model was
not trained for it; what it gains nevertheless is in docs/adr/0014-reranking-by-late-interaction.md.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from batches import by_length
from lanes import making_way

MINI_BATCH = 8
EXPORTED = Path("onnx") / "model.onnx"

Vectors = NDArray[np.float32]
Features = dict[str, Any]
"""What goes from one module of the model to the next, tensors by their names."""


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


class TorchEncoder:
    """All of the model in PyTorch."""

    many_at_once = False

    def __init__(self, model: SentenceTransformer) -> None:
        self._model = model
        self.prompts: dict[str, str] = dict(model.prompts)

    def vectors(self, texts: Sequence[str], patient: bool = False) -> Vectors:
        """See Encoder."""
        encode = self._model.encode
        made = encode(list(texts), batch_size=MINI_BATCH, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(made, np.float32)

    def closeness(self, pairs: Sequence[tuple[str, str]]) -> Vectors:
        """See Encoder."""
        return closeness(pairs, self._features)

    def _features(self, texts: list[str]) -> Features:
        features = {name: value.to(self._model.device) for name, value in self._model.preprocess(texts).items()}
        with torch.inference_mode():
            return dict(self._model[0](features))


class OnnxEncoder:
    """The transformer in ONNX Runtime, of which patient texts have a thread that makes way. Only that: what holds
    Python's lock must not be kept from the processor, for all wait for it. Where the transformer has several threads,
    the others are shared, and make way for nobody."""

    many_at_once = True

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
        self._making_way = making_way("patient")
        self._tokenizing = threading.Lock()
        self.prompts: dict[str, str] = dict(model.prompts)

    def vectors(self, texts: Sequence[str], patient: bool = False) -> Vectors:
        """See Encoder."""
        batches = by_length(texts, MINI_BATCH)
        made = np.concatenate([self._batch([texts[place] for place in places], patient) for places in batches])
        back = np.argsort([place for places in batches for place in places])
        return np.ascontiguousarray(made[back])

    def closeness(self, pairs: Sequence[tuple[str, str]]) -> Vectors:
        """See Encoder."""
        return closeness(pairs, self._features)

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


def closeness(pairs: Sequence[tuple[str, str]], features: Callable[[list[str]], Features]) -> Vectors:
    """See Encoder; `features` are those of texts, with a vector for each token."""
    asked, texts = zip(*pairs, strict=True)
    known = dict(_tokens(list(dict.fromkeys(asked)), features))
    found = dict(_tokens(list(dict.fromkeys(texts)), features))
    return np.array([(known[one] @ found[text].T).max(axis=1).mean() for one, text in pairs], np.float32)


def _tokens(texts: list[str], features: Callable[[list[str]], Features]) -> Iterator[tuple[str, Vectors]]:
    """Each text with the vectors of its tokens, of length 1, shape [tokens, dimensions]."""
    for places in by_length(texts, MINI_BATCH):
        some = [texts[place] for place in places]
        made = features(some)
        unit = torch.nn.functional.normalize(made["token_embeddings"], dim=2).cpu().numpy()
        masks = made["attention_mask"].cpu().numpy().astype(bool)
        yield from ((text, rows[mask]) for text, rows, mask in zip(some, unit, masks, strict=True))


def load(folder: str, device: str) -> Encoder:
    """The model in `folder` on `device`, such as cpu or cuda."""
    threads = int(os.environ.get("AI2TEXT_EMBEDDER_THREADS") or max(1, (os.cpu_count() or 1) // 2))
    torch.set_num_threads(threads)
    model = SentenceTransformer(folder, device=device, local_files_only=True)
    exported = Path(folder) / EXPORTED
    return OnnxEncoder(model, exported, threads) if device == "cpu" and exported.is_file() else TorchEncoder(model)
