"""The encoder in ONNX Runtime: a clip into what the decoder attends to, silence from a file behind it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

from waveform import FRAMES_PER_SECOND, LONGEST_SECONDS, SAMPLE_RATE, Samples, context_seconds, followed

Floats = NDArray[np.float32]


class Session(Protocol):
    """What is used of `onnxruntime.InferenceSession`. Several threads may run one at the same time."""

    def run(self, names: list[str] | None, given: Mapping[str, Any]) -> list[Any]:
        """The outputs by their names, or all."""

    def get_inputs(self) -> list[Any]:
        """What goes in, with `name` and `shape`."""

    def get_outputs(self) -> list[Any]:
        """What comes out, with `name` and `shape`."""


class Network:
    """A Session of ONNX Runtime whose failures are RuntimeErrors, as CTranslate2's are."""

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False  # each clip and each step has another shape
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.get_inputs = self._session.get_inputs
        self.get_outputs = self._session.get_outputs

    def run(self, names: list[str] | None, given: Mapping[str, Any]) -> list[Any]:
        """See Session."""
        try:
            return list(self._session.run(names, given))
        except (Fail, InvalidArgument, RuntimeException) as fault:
            raise RuntimeError(str(fault)) from fault


@dataclass(frozen=True, eq=False)
class Heard:
    """A clip behind the encoder: `keys0`, `values0`, ... and `bias`, of which the first `positions` are the clip's; the
    encoder was given `seconds`. `followed`: there is silence from elsewhere behind them."""

    attended: dict[str, Floats]
    positions: int
    seconds: int
    followed: bool


class Ears:
    """The encoder."""

    def __init__(self, session: Session, mel: FeatureExtractor, tail: Mapping[str, Floats], pooled: int) -> None:
        """`tail` is the silence behind a clip, from the beginning of a clip on, each of its positions as `pooled` of
        the encoder's."""
        self._session = session
        self._mel = mel
        self._tail = tail
        self._pooled = pooled
        self._names = [each.name for each in session.get_outputs()]

    def hear(self, samples: Samples, *, again: bool = False) -> Heard:
        """The clip and the silence behind it. With `again`, where that made no sense: with 8 s of context, or with the
        30 s of Whisper's training where the clip had as much already."""
        short = followed(samples)
        given = samples if again else short
        if given is not samples:
            frames = given.size * FRAMES_PER_SECOND // SAMPLE_RATE
        elif again and short is samples:
            frames = LONGEST_SECONDS * FRAMES_PER_SECOND
        else:
            frames = context_seconds(samples.size) * FRAMES_PER_SECOND
        mel = self._mel(given)[:, :frames]
        features = np.zeros((1, mel.shape[0], frames), np.float32)
        features[0, :, : mel.shape[1]] = mel
        positions = frames // 2
        found = self._session.run(self._names, {"mel": features, "positions": np.arange(positions)})
        behind = -(-positions // self._pooled)
        attended = {
            name: _joined(name, each, self._tail[name], behind) for name, each in zip(self._names, found, strict=True)
        }
        attended["bias"] = np.concatenate([np.zeros(positions, np.float32), self._tail["bias"][behind:]])
        return Heard(
            attended,
            min(positions, math.ceil(samples.size * FRAMES_PER_SECOND / (2 * SAMPLE_RATE))),
            math.ceil(frames / FRAMES_PER_SECOND),
            positions < self._tail["bias"].size * self._pooled,
        )


def _joined(name: str, found: Floats, tail: Floats, behind: int) -> Floats:
    if name.startswith("keys"):
        return np.concatenate([found, tail[:, :, behind:]], axis=2)
    return np.concatenate([found, tail[:, behind:]], axis=1)
