"""The weights of a Whisper in a faster-whisper folder, as numbers of 32 bits, and its sizes."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesh.models import ctranslate2_weights
from mesh.models.wheels import ModelError

NUMBERS: dict[int, np.dtype[Any]] = {
    0: np.dtype("<f4"), 1: np.dtype("<i1"), 2: np.dtype("<i2"), 4: np.dtype("<f2")
}  # fmt: skip
"""CTranslate2's numbers for types of elements."""

Floats = NDArray[np.float32]


class Whisper:
    """One model."""

    def __init__(self, folder: Path) -> None:
        """Raises ModelError when `folder` holds no Whisper."""
        weights = ctranslate2_weights.read(folder / "model.bin")
        self._variables = {each.name: each for each in weights.variables}
        if "decoder/embeddings/weight" not in self._variables:
            raise ModelError(f"{folder} is no Whisper: it has no embeddings of tokens")
        self.tokens, self.width = map(int, self["decoder/embeddings/weight"].shape)
        self.bands = self["encoder/conv1/weight"].shape[1]
        self.heads = int(self["decoder/num_heads"])

    def __getitem__(self, name: str) -> Floats:
        """A variable. What was rounded to integers is divided by its scale, one for each row or for all."""
        values = self._numbers(name)
        if f"{name}_scale" not in self._variables:
            return values
        scale = self._numbers(f"{name}_scale")
        return np.asarray(values / (scale[:, np.newaxis] if scale.ndim else scale), np.float32)

    def _numbers(self, name: str) -> Floats:
        variable = self._variables[name]
        if variable.kind not in NUMBERS:
            raise ModelError(f"{name} is of CTranslate2's type {variable.kind}, of which no ONNX can be written")
        return np.asarray(np.frombuffer(variable.data, NUMBERS[variable.kind]).reshape(variable.shape), np.float32)

    def layers(self, side: str) -> int:
        """How many layers the `encoder` or the `decoder` has."""
        found = (re.match(rf"{side}/layer_(\d+)/", name) for name in self._variables)
        return 1 + max(int(match[1]) for match in found if match)

    @property
    def per_head(self) -> int:
        """The width of one head."""
        return int(self.width // self.heads)
