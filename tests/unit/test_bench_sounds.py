"""Sounds in which nobody speaks, and plots."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from bench import plot
from bench.noises import LENGTH, noises
from bench.plot import Axis, Line


def test_the_sounds_are_of_many_kinds_and_the_same_for_the_same_seed() -> None:
    made = list(noises(24, seed=3))
    assert len({noise.kind for noise in made}) == 12
    assert all(noise.pcm.dtype == np.int16 and len(noise.pcm) == LENGTH for noise in made)
    for one, other in zip(made, noises(24, seed=3), strict=True):
        assert (one.pcm == other.pcm).all()
    assert any((one.pcm != other.pcm).any() for one, other in zip(made, noises(24, seed=4), strict=True))


def test_all_but_silence_can_be_heard() -> None:
    for noise in noises(24):
        assert (np.abs(noise.pcm.astype(int)).max() > 100) == (noise.kind != "silence")


def test_an_axis_is_logarithmic_and_ends_at_round_values() -> None:
    axis = Axis.around([3, 40], 0, 100)
    assert (axis.low, axis.high) == (2, 50)
    assert axis.at(2) == 0
    assert axis.at(50) == 100
    assert axis.at(10) == pytest.approx(50)
    assert axis.ticks == [2, 5, 10, 20, 50]


def test_a_plot_is_well_formed_and_has_every_line_that_has_points() -> None:
    lines = [Line("ours & theirs", [(1, 300), (20, 450)], frozenset({20})), Line("none", []), Line("slow", [(1, 9000)])]
    svg = ET.fromstring(plot.drawn("Title", "x", "y", lines, (500, "500 ms")))
    words = [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert "ours & theirs" in words
    assert "slow" in words
    assert "none" not in words
    circles = list(svg.iter("{http://www.w3.org/2000/svg}circle"))
    assert [circle.get("class") for circle in circles] == [None, "open", None]
