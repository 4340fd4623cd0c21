"""The voice detector's state: what one has heard, another may go on from."""

import numpy as np
import pytest

from servers.asr import vad
from servers.asr.endpointing import WINDOW

MODEL = vad.load()
SOUND = np.random.default_rng(3).normal(0, 0.1, 40 * WINDOW).astype(np.float32)


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
