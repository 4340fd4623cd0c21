"""Silero VAD on onnxruntime: the model file comes with faster-whisper."""

import math
from pathlib import Path

import numpy as np
import onnxruntime
from faster_whisper.utils import get_assets_path

from servers.asr.audio import Samples
from servers.asr.endpointing import WINDOW

CONTEXT = 64
"""Samples of the window before that the model sees again."""
MEMORY = (1, 1, 128)
"""Shape of each of the model's two states."""


def load() -> onnxruntime.InferenceSession:
    """The model, for one thread a call; it may be shared by all streams."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    path = Path(get_assets_path(), "silero_vad_v6.onnx")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class SileroDetector:
    """The state of one stream on a shared model. About 0.1 ms of CPU a window."""

    def __init__(self, model: onnxruntime.InferenceSession) -> None:
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
        windows = np.lib.stride_tricks.sliding_window_view(known, CONTEXT + WINDOW)[::WINDOW][:count]
        state = {"input": np.ascontiguousarray(windows), "h": self._hidden, "c": self._cell}
        probabilities, self._hidden, self._cell = self._model.run(None, state)
        return [float(p) for p in np.asarray(probabilities).reshape(-1)]

    def state(self) -> bytes:
        """What was heard so far, as far as it matters for what follows: for `restore`, between two windows."""
        return b"".join(part.tobytes() for part in (self._hidden, self._cell, self._rest))

    def restore(self, state: bytes) -> None:
        """Go on from a `state()`, of this model on a machine with the same byte order. Raises ValueError for any other
        bytes."""
        numbers = np.frombuffer(state, np.float32)
        if len(numbers) != 2 * math.prod(MEMORY) + CONTEXT:
            raise ValueError("not the state of this voice detector")
        self._hidden, self._cell = (part.reshape(MEMORY) for part in np.split(numbers[:-CONTEXT], 2))
        self._rest = numbers[-CONTEXT:]
