"""Silero VAD: the model file comes with faster-whisper."""

from pathlib import Path

import numpy as np
from faster_whisper.utils import get_assets_path

from servers.asr import voice_network
from servers.asr.audio import Samples
from servers.asr.endpointing import WINDOW
from servers.asr.voice_network import CONTEXT, MEMORY, Weights


def load() -> Weights:
    """The model, which all streams may share. Its loops are compiled: seconds where that was never done."""
    weights = voice_network.load(Path(get_assets_path(), "silero_vad_v6.onnx"))
    SileroDetector(weights).probabilities(np.zeros(WINDOW, np.float32))
    return weights


class SileroDetector:
    """The state of one stream on a shared model. Less than 0.1 ms of CPU a window."""

    def __init__(self, model: Weights) -> None:
        self._model = model
        self._hidden = np.zeros(MEMORY, np.float32)
        self._cell = np.zeros(MEMORY, np.float32)
        self._rest: Samples = np.zeros(CONTEXT, np.float32)

    def probabilities(self, heard: Samples) -> list[float]:
        """The probability of voice of each window of 512 samples that has become complete."""
        known = np.concatenate((self._rest, heard))
        count = (len(known) - CONTEXT) // WINDOW
        self._rest = known[count * WINDOW :]
        if count == 0:
            return []
        found: list[float] = voice_network.probabilities(self._model, known, self._hidden, self._cell).tolist()
        return found

    def state(self) -> bytes:
        """What was heard so far, as far as it matters for what follows: for `restore`, between two windows."""
        return b"".join(part.tobytes() for part in (self._hidden, self._cell, self._rest))

    def restore(self, state: bytes) -> None:
        """Go on from a `state()`, of this model on a machine with the same byte order. Raises ValueError for any other
        bytes."""
        numbers = np.frombuffer(state, np.float32)
        if len(numbers) != 2 * MEMORY + CONTEXT:
            raise ValueError("not the state of this voice detector")
        self._hidden, self._cell = (part.copy() for part in np.split(numbers[:-CONTEXT], 2))
        self._rest = numbers[-CONTEXT:]
