"""What Whisper's encoder says of the silence behind speech.

Whisper is trained on 30 s, and its encoder costs more than in proportion. Given less, its decoder loops: the silence
that it knows to follow what was said is not there. So it is given the clip alone, and what the decoder attends to gets
the silence put behind it, which was encoded once: the mean over some speech, position by position, since it hardly
depends on what was said. Four positions are one here, which counts as four, and a little more, because the mean of
some keys is attended to less than they are. docs/adr/0016-whisper-in-onnx-runtime.md has the figures.
"""

import io
import math
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from faster_whisper.audio import decode_audio
from faster_whisper.feature_extractor import FeatureExtractor

from mesh.models.eight_bits import Floats
from mesh.models.speech import AUDIOEVAL

SECONDS = 15
POOLED = 4
BOOST = 0.2
GAP_SECONDS = 0.5
"""Behind the end of speech; what the encoder says of the first half second still depends on it."""
SPOKEN_SECONDS = (0.5, 1, 2, 3, 4, 5)
_POSITIONS = 50
_SAMPLES = 16_000


def speech(cache: Path) -> list[Floats]:
    """Beginnings of some clips, mono at 16 kHz. Raises ModelError when their wheel cannot be had."""
    with zipfile.ZipFile(AUDIOEVAL.fetch(cache)) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".wav"))
        clips = [np.asarray(decode_audio(io.BytesIO(archive.read(name))), np.float32) for name in names]
    lengths = [round(seconds * _SAMPLES) for seconds in SPOKEN_SECONDS]
    return [clip[:length] for clip in clips for length in lengths if clip.size >= length]


def tail(encoder: Path, mel: FeatureExtractor, spoken: Sequence[Floats]) -> dict[str, Floats]:
    """The encoder's `keys0`, `values0` and so on of the silence behind `spoken`, and the `bias` with which they count,
    from the beginning of a clip to 15 s, each of `pooled` positions (4, which is .08 s)."""
    session = onnxruntime.InferenceSession(str(encoder), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    sums: dict[str, Floats] = {}
    counts = np.zeros(SECONDS * _POSITIONS, np.float32)
    for clip, found in zip(spoken, _encoded(session, names, mel, spoken), strict=True):
        silent = np.arange(counts.size) >= math.ceil((clip.size / _SAMPLES + GAP_SECONDS) * _POSITIONS)
        counts += silent
        for name, values in found.items():
            sums[name] = sums.get(name, 0) + values * silent
    first = int(np.argmax(counts > 0))
    means = {name: np.asarray(total / np.maximum(counts, 1), np.float32) for name, total in sums.items()}
    pooled = {name: _pooled(_from(mean, first)) for name, mean in means.items()}
    back = {name: values if name.startswith("keys") else values.swapaxes(1, 2) for name, values in pooled.items()}
    bias = np.full(counts.size // POOLED, math.log(POOLED) + BOOST, np.float32)
    kept = {name: np.ascontiguousarray(values, np.float32) for name, values in back.items()}
    return kept | {"bias": bias, "pooled": np.array(POOLED, np.float32)}


def _encoded(
    session: onnxruntime.InferenceSession, names: list[str], mel: FeatureExtractor, spoken: Sequence[Floats]
) -> Iterator[dict[str, Floats]]:
    """What the encoder says of each clip and the silence up to 15 s, positions last."""
    frames = SECONDS * 2 * _POSITIONS
    for clip in spoken:
        heard = mel(clip)[:, :frames]
        features = np.zeros((1, heard.shape[0], frames), np.float32)
        features[0, :, : heard.shape[1]] = heard
        given = {"mel": features, "positions": np.arange(frames // 2)}
        found = dict(zip(names, session.run(names, given), strict=True))
        yield {name: each if name.startswith("keys") else each.swapaxes(1, 2) for name, each in found.items()}


def _from(mean: Floats, first: int) -> Floats:
    """`mean` with the first position that was seen in the place of those before."""
    return np.concatenate([np.repeat(mean[..., first : first + 1], first, axis=-1), mean[..., first:]], axis=-1)


def _pooled(mean: Floats) -> Floats:
    whole = mean.shape[-1] // POOLED * POOLED
    return np.asarray(mean[..., :whole].reshape(*mean.shape[:-1], -1, POOLED).mean(axis=-1))
