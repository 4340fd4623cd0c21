"""A BERT with weights of four bits as an Encoder, in compiled loops, of the files that mesh/models/e5_blocks.py writes.

It takes a third of ONNX Runtime's time for a question, and half for longer texts; the vectors' cosine to those of the
same weights in 32 bits is .9999 (docs/adr/0025-the-embedder-in-compiled-loops.md).
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import binding
from tokenizers import Tokenizer

from arithmetic import normalised
from batches import by_length
from blocks import BLOCK, ZERO, blocks
from encoder import MINI_BATCH, Vectors, closeness, unit
from encoder_pass import Weights, encode
from lanes import making_way
from vectors import LANES

FOLDER = "compiled"
LINEAR = ("all_three", "told", "wide", "narrow")


def supported() -> bool:
    """Whether this processor has the instructions of `blocks`."""
    features = binding.get_host_cpu_features()
    return bool(features.get("avx2") and features.get("fma"))


class CompiledEncoder:
    """All of the model. What several threads ask for at a time does not wait for each other."""

    many_at_once = True

    def __init__(self, folder: Path, threads: int) -> None:
        """Compiled, or read from where that is kept, before it is used. ValueError when its heads have a width for
        which there are no loops."""
        with np.load(folder / FOLDER / "layers.npz") as file:
            arrays = {name: file[name] for name in file.files}
        self._heads, self._epsilon = int(arrays["heads"]), np.float32(arrays["epsilon"])
        width = arrays["places"].shape[1]
        if width % (self._heads * LANES):
            raise ValueError(f"{folder}: heads must be some times {LANES} numbers wide, not {width // self._heads}")
        self._words = np.load(folder / FOLDER / "words.npy", mmap_mode="r")  # 96 MB, of which a text needs a few rows
        self._worth = np.load(folder / FOLDER / "words_scale.npy", mmap_mode="r")
        self._places, self._norm = arrays["places"], arrays["norm"]
        linear = {name: blocks(*(arrays[f"{name}.{part}"] for part in ("weight", "scale", "bias"))) for name in LINEAR}
        self._weights = Weights(**linear, norms=arrays["norms"])
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(_said(folder, "sentence_bert_config.json")["max_seq_length"])
        self.prompts: dict[str, str] = _said(folder, "config_sentence_transformers.json")["prompts"]
        self._making_way = making_way("patient")
        self._threads = ThreadPoolExecutor(threads, "texts")
        self._states([""])

    def vectors(self, texts: Sequence[str], patient: bool = False) -> Vectors:
        """See Encoder."""
        batches = by_length(texts, MINI_BATCH)
        encoded = partial(self._batch, patient=patient)
        parts = [[texts[place] for place in places] for places in batches]
        several = len(parts) > 1 and not patient
        made = np.concatenate(list(self._threads.map(encoded, parts) if several else map(encoded, parts)))
        back = np.argsort([place for places in batches for place in places])
        return np.ascontiguousarray(made[back])

    def closeness(self, pairs: Sequence[tuple[str, str]]) -> Vectors:
        """See Encoder."""
        return closeness(pairs, self._states)

    def _batch(self, texts: Sequence[str], patient: bool) -> Vectors:
        return unit(np.stack([states.sum(axis=0) for states in self._states(texts, patient)]))

    def _states(self, texts: Sequence[str], patient: bool = False) -> list[Vectors]:
        """Of each text the vectors that the last layer has for its tokens."""
        ids = [np.array(text.ids, np.int64) for text in self._tokenizer.encode_batch_fast(list(texts))]
        ends = np.cumsum([len(own) for own in ids])
        tokens = np.concatenate(ids)
        found = self._words[tokens].astype(np.float32) - ZERO
        found *= self._worth[tokens].astype(np.float32).repeat(BLOCK, axis=1)
        found += np.concatenate([self._places[: len(own)] for own in ids])
        states = np.empty_like(found)
        normalised(found, self._norm, self._epsilon, states)
        run = partial(encode, self._weights, states, ends, self._heads, self._epsilon)
        self._making_way.submit(run).result() if patient else run()
        return np.split(states, ends[:-1])


def _said(folder: Path, name: str) -> dict[str, Any]:
    """What a JSON file of the model says."""
    said: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    return said
