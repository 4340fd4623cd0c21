"""The weights of Whisper's decoder in eight bits, as arrays in a file, for compiled loops (compiled_network.py).

Each linear layer has `<name>.weight` int8 [layers, outputs, inputs], `<name>.scale` float32 [layers, outputs], what one
of its integers is worth, and `<name>.bias` [layers, outputs]; the embeddings, which are the last linear layer, too,
have no layers and no bias.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesh.models.eight_bits import Floats, rounded
from mesh.models.whisper_weights import Whisper

LARGEST = 127
LINEAR = {
    "all_three": "self_attention/linear_0",
    "remembered": "self_attention/linear_1",
    "question": "attention/linear_0",
    "heard": "attention/linear_2",
    "wide": "ffn/linear_0",
    "narrow": "ffn/linear_1",
}
"""Names for the linear layers, and CTranslate2's."""

NORMS = ("self_attention/layer_norm", "attention/layer_norm", "ffn/layer_norm")


def decoder(whisper: Whisper, alignment_heads: Sequence[tuple[int, int]]) -> dict[str, NDArray[Any]]:
    """The arrays by name. `norms` [layers, 3, 2, width] and `last_norm` [2, width] are factors and what is added;
    `words` float16 [tokens, width] and `places` what is known of tokens and of their places."""
    layers = [f"decoder/layer_{layer}" for layer in range(whisper.layers("decoder"))]
    arrays: dict[str, NDArray[Any]] = {
        "heads": np.array(whisper.heads),
        "alignment_heads": np.array(alignment_heads, np.int64).reshape(-1, 2),
        "norms": np.stack([np.stack([_norm(whisper, f"{layer}/{norm}") for norm in NORMS]) for layer in layers]),
        "last_norm": _norm(whisper, "decoder/layer_norm"),
        "words": whisper["decoder/embeddings/weight"].astype(np.float16),
        "places": whisper["decoder/position_encodings/encodings"],
    }
    arrays["words.weight"], arrays["words.scale"] = rounded(whisper["decoder/embeddings/weight"], LARGEST)
    for name, part in LINEAR.items():
        both = [rounded(whisper[f"{layer}/{part}/weight"], LARGEST) for layer in layers]
        arrays[f"{name}.weight"] = np.stack([weight for weight, _ in both])
        arrays[f"{name}.scale"] = np.stack([scale for _, scale in both])
        arrays[f"{name}.bias"] = np.stack([whisper[f"{layer}/{part}/bias"] for layer in layers])
    return arrays


def _norm(whisper: Whisper, name: str) -> Floats:
    return np.stack([whisper[f"{name}/gamma"], whisper[f"{name}/beta"]])
