"""A BERT with weights of four bits as an Encoder, in compiled loops, of the files that mesh/models/e5_blocks.py writes.

It takes a third of ONNX Runtime's time for a short question, and half to two thirds for longer texts; the vectors'
cosine to those of the same weights in 32 bits is .9999 (docs/adr/0025-the-embedder-in-compiled-loops.md).
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import binding
from numpy.typing import NDArray
from tokenizers import Tokenizer

from arithmetic import normalised
from batches import by_length
from blocks import BLOCK, ZERO, blocks
from encoder import COMPILED, MINI_BATCH, Vectors, closeness, unit
from encoder_pass import Weights, encode
from lanes import making_way
from vectors import LANES

LINEAR = ("all_three", "told", "wide", "narrow")


def supported() -> bool:
    """Whether this processor has the instructions of `blocks`."""
    features = binding.get_host_cpu_features()
    return bool(features.get("avx2") and features.get("fma"))


class CompiledEncoder:
    """All of the model. Several batches go to as many threads, patient ones to threads that make way; only what holds
    no lock of Python's is done there, since all wait for who holds it."""

    many_at_once = True

    def __init__(self, folder: Path, threads: int) -> None:
        """Compiled, or read from where that is kept, before it is used. ValueError when its heads have a width for
        which there are no loops."""
        with np.load(folder / COMPILED / "layers.npz") as file:
            arrays = {name: file[name] for name in file.files}
        self._heads, self._epsilon = int(arrays["heads"]), np.float32(arrays["epsilon"])
        width = arrays["places"].shape[1]
        if width % (self._heads * LANES):
            raise ValueError(f"{folder}: heads must be some times {LANES} numbers wide, not {width // self._heads}")
        self._words = np.load(folder / COMPILED / "words.npy", mmap_mode="r")  # 96 MB, of which a text needs a few rows
        self._worth = np.load(folder / COMPILED / "words_scale.npy", mmap_mode="r")
        self._places, self._norm = arrays["places"], arrays["norm"]
        linear = {name: blocks(*(arrays[f"{name}.{part}"] for part in ("weight", "scale", "bias"))) for name in LINEAR}
        self._weights = Weights(**linear, norms=arrays["norms"])
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(_said(folder, "sentence_bert_config.json")["max_seq_length"])
        self.prompts: dict[str, str] = _said(folder, "config_sentence_transformers.json")["prompts"]
        self._making_way = making_way("patient", threads)
        self._threads = ThreadPoolExecutor(threads, "texts")
        self._states([[""]])

    def vectors(self, texts: Sequence[str], patient: bool = False) -> Vectors:
        """See Encoder."""
        batches = by_length(texts, MINI_BATCH)
        states = self._states([[texts[place] for place in places] for places in batches], patient)
        back = np.argsort([place for places in batches for place in places])
        return unit(np.stack([tokens.sum(axis=0) for tokens in states])[back])

    def closeness(self, pairs: Sequence[tuple[str, str]]) -> Vectors:
        """See Encoder."""
        return closeness(pairs, lambda texts: self._states([texts]))

    def _states(self, batches: Sequence[Sequence[str]], patient: bool = False) -> list[Vectors]:
        """Of each text the vectors that the last layer has for its tokens; the texts in the order of the batches."""
        begun = [self._begun(texts) for texts in batches]
        runs = [partial(encode, self._weights, *one, self._heads, self._epsilon) for one in begun]
        if patient or len(runs) > 1:
            pool = self._making_way if patient else self._threads
            for running in [pool.submit(run) for run in runs]:
                running.result()
        else:
            runs[0]()
        return [tokens for states, ends in begun for tokens in np.split(states, ends[:-1])]

    def _begun(self, texts: Sequence[str]) -> tuple[Vectors, NDArray[np.int64]]:
        """What the first layer is given of a batch, and where each text ends."""
        ids = [np.array(text.ids, np.int64) for text in self._tokenizer.encode_batch_fast(list(texts))]
        tokens = np.concatenate(ids)
        found = self._words[tokens].astype(np.float32) - ZERO
        found *= self._worth[tokens].astype(np.float32).repeat(BLOCK, axis=1)
        found += np.concatenate([self._places[: len(own)] for own in ids])
        states = np.empty_like(found)
        normalised(found, self._norm, self._epsilon, states)
        return states, np.cumsum([len(own) for own in ids])


def _said(folder: Path, name: str) -> dict[str, Any]:
    """What a JSON file of the model says."""
    said: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    return said
