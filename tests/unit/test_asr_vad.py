"""The voice detector: what ONNX Runtime hears, it hears; what one has heard, another may go on from."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from faster_whisper.utils import get_assets_path

from servers.asr import vad, voice_network
from servers.asr.endpointing import WINDOW
from servers.asr.voice_network import CONTEXT

FILE = Path(get_assets_path(), "silero_vad_v6.onnx")
MODEL = vad.load()
SOUND = np.random.default_rng(3).normal(0, 0.1, 40 * WINDOW).astype(np.float32)


def vowel() -> Any:
    """Two seconds of something like "a, a, a": pulses of 110 Hz through three formants."""
    seconds = np.arange(32_000) / 16_000
    sound = np.diff(np.floor(110 * seconds + np.sin(18 * seconds) / 4), prepend=0)
    for formant, width in ((700, 90), (1200, 110), (2600, 160)):
        decay = np.exp(-np.pi * width / 16_000)
        last = before = 0.0
        for at, value in enumerate(sound.tolist()):
            last, before = value + 2 * decay * np.cos(np.pi * formant / 8_000) * last - decay**2 * before, last
            sound[at] = last
    return (0.3 * sound / np.abs(sound).max() * (np.sin(25 * seconds) > -0.3)).astype(np.float32)


def reference(sound: Any) -> list[float]:
    """The probabilities of ONNX Runtime."""
    session = onnxruntime.InferenceSession(str(FILE), providers=["CPUExecutionProvider"])
    state = [np.zeros((1, 1, 128), np.float32)] * 2
    heard, found = np.concatenate([np.zeros(CONTEXT, np.float32), sound]), list[float]()
    for begin in range(0, sound.size - WINDOW + 1, WINDOW):
        given = heard[np.newaxis, begin : begin + CONTEXT + WINDOW]
        voice, *state = session.run(None, {"input": given, "h": state[0], "c": state[1]})
        found.append(float(voice[0]))
    return found


@pytest.mark.parametrize("loudness", [0, 1e-4, 1, 30])
def test_it_hears_what_onnx_runtime_hears(loudness: float) -> None:
    sound = SOUND * np.float32(loudness)
    assert vad.SileroDetector(MODEL).probabilities(sound) == pytest.approx(reference(sound), abs=1e-5)


def test_it_hears_a_voice_where_onnx_runtime_does() -> None:
    sound = vowel()
    found = vad.SileroDetector(MODEL).probabilities(sound)
    assert found == pytest.approx(reference(sound), abs=1e-5)
    assert max(found) > 0.7
    assert min(found) < 0.1


def test_nothing_is_compiled_once_it_is_loaded() -> None:
    before = len(voice_network.probabilities.signatures)  # type: ignore[attr-defined]  # numba's
    detector = vad.SileroDetector(MODEL)
    for part in (SOUND[:3], SOUND[3 : 2 * WINDOW], np.frombuffer(SOUND.tobytes(), np.float32)):
        detector.probabilities(part)
    again = vad.SileroDetector(MODEL)
    again.restore(detector.state())
    again.probabilities(SOUND)
    assert (before, len(voice_network.probabilities.signatures)) == (1, 1)  # type: ignore[attr-defined]


def test_another_network_is_refused(tmp_path: Path) -> None:
    other = onnx.load(str(FILE))
    other.graph.initializer[0].name = "another"
    onnx.save(other, str(tmp_path / "other.onnx"))
    with pytest.raises(KeyError):
        voice_network.load(tmp_path / "other.onnx")


@pytest.mark.parametrize("cut", [0, 1, 17, 39])
def test_a_restored_detector_goes_on_as_if_it_had_heard_all(cut: int) -> None:
    whole, first, second = (vad.SileroDetector(MODEL) for _ in range(3))
    expected = whole.probabilities(SOUND)
    first.probabilities(SOUND[: cut * WINDOW])
    second.restore(first.state())
    assert second.probabilities(SOUND[cut * WINDOW :]) == pytest.approx(expected[cut:], abs=1e-6)


def test_a_detector_without_the_state_hears_otherwise() -> None:
    whole, fresh = vad.SileroDetector(MODEL), vad.SileroDetector(MODEL)
    expected = whole.probabilities(SOUND)[17]
    assert fresh.probabilities(SOUND[17 * WINDOW :])[0] != pytest.approx(expected, abs=1e-6)


def test_what_is_no_state_is_refused() -> None:
    with pytest.raises(ValueError, match="not the state"):
        vad.SileroDetector(MODEL).restore(bytes(12))
