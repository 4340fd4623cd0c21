"""Utterances that are torn: no word is lost or heard twice there, whatever is settled and however busy all is."""

import numpy as np
import pytest

from servers.asr import audio
from servers.asr.endpointing import WINDOW
from servers.asr.results import Final
from servers.asr.utterance import PADDING, SETTLED_AT_PAUSE_S
from tests.fakes.listener import RULES, SECOND, Listener

DIP = (WINDOW / SECOND, 0.0)
"""The quietest moment: too short for a pause."""
PAUSE = ((RULES.pause_ms + 32) / 1000, 0.0)


def spoken(final: Final | None) -> list[tuple[str, int]]:
    """The words, and where they begin in tenths of seconds."""
    assert final is not None
    assert final.text.split() == [word.text for word in final.words]
    return [(word.text, round(word.start_ms / 100)) for word in final.words]


@pytest.mark.parametrize("refinements", [True, False])
async def test_a_cut_before_what_is_settled_leaves_the_words_behind_it_to_the_next(
    echo: Listener, refinements: bool
) -> None:
    echo.begin(refinements=refinements)
    # It gets too long at 27 s, and is cut at the dip, but all up to the pause after it is settled by then.
    await echo.hear((23.5, 0.5), DIP, (1.4, 0.5), PAUSE, (3.0, 0.5), (1.0, 0.0))
    one, two = await echo.make_finals()
    assert spoken(one) == [("w0", 0)]
    assert spoken(two) == [("w0", 233), ("w1", 248)]  # its seconds are of whole windows, .992 s
    assert one is not None
    assert two is not None
    assert one.end_ms == two.start_ms == pytest.approx(23_340, abs=64)
    assert (one.language, one.confidence) == ("vi", pytest.approx(0.905, abs=0.001))


async def test_a_cut_before_all_words_that_are_settled_leaves_no_empty_final(echo: Listener) -> None:
    await echo.hear((SETTLED_AT_PAUSE_S + 1, 0.5), PAUSE, (0.5, 0.5))
    utterance = echo.track._open
    assert utterance is not None
    utterance.finish(utterance.start + WINDOW, echo.track.processed)
    assert await utterance.final(0) is None


async def test_who_goes_on_after_a_cut_does_not_hear_what_is_told_already(echo: Listener) -> None:
    await echo.hear((3.0, 0.5))
    await echo.track.force_end()
    await echo.hear((1.0, 0.5), (1.0, 0.0))
    await echo.make_finals()
    undisturbed = echo.model.begun[-1].audio
    cut = 3 * SECOND
    echo.begin(settled=cut, begin=cut - SECOND, said=cut)
    await echo.hear((1.0, 0.5), (1.0, 0.5), (1.0, 0.0))
    await echo.make_finals()
    assert len(undisturbed) < SECOND + PADDING
    assert np.array_equal(echo.model.begun[-1].audio, undisturbed)
    assert echo.track.said == 4 * SECOND


async def test_a_final_hears_the_same_however_busy_the_model_is(echo: Listener) -> None:
    heard = []
    for worked_s in (0.0, 100.0):
        echo.begin()
        echo.load.note(0.0, worked_s)
        assert echo.load.hurried == bool(worked_s)
        await echo.hear((1.0, 0.5), (1.0, 0.0))
        await echo.make_finals()
        heard.append(echo.model.begun[-1].audio)
    assert len(heard[0]) == SECOND + audio.samples(RULES.pause_ms)
    assert np.array_equal(*heard)
