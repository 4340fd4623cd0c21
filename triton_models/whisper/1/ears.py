"""The encoder in ONNX Runtime: a clip into what the decoder attends to, silence from a file behind it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor

from onnx_network import Floats, Session
from waveform import FRAMES_PER_SECOND, LONGEST_SECONDS, SAMPLE_RATE, Samples, context_seconds, followed


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
