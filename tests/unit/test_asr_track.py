"""One channel: what it tells, what it settles, what it forgets, and which finals are heard again as one."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from servers.asr import audio
from servers.asr.audio import SAMPLE_RATE
from servers.asr.endpointing import WINDOW
from servers.asr.passage import GAP_MS, LONGEST_S
from servers.asr.results import Partial, Refinement, SpeechEnded, SpeechStarted
from servers.asr.track import LONG_EVERY_MS, MEMORY_MS, STATE_EVERY
from servers.asr.utterance import PADDING, TRIM_AFTER_S
from tests.fakes.listener import SECOND, Listener
from tests.fakes.recognizers import GatedRecognizer, come_true, heard, settled


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    listener = Listener(GatedRecognizer(open=True))
    listener.begin()
    yield listener
    listener.track.close()
    await settled()


# What is told.


async def test_speech_is_told_where_it_begins_and_ends(listener: Listener) -> None:
    await listener.hear((0.5, 0.0), (1.0, 0.5), (1.0, 0.0))
    started, complete, ended = listener.told
    assert isinstance(started, SpeechStarted)
    assert isinstance(complete, Partial)
    assert isinstance(ended, SpeechEnded)
    assert started.start_ms == pytest.approx(500, abs=32)
    assert ended.end_ms == pytest.approx(1_500, abs=64)
    assert {started.channel, complete.channel, ended.channel} == {1}
    assert complete.complete


async def test_the_text_at_a_pause_that_is_the_end_already_is_not_shown(listener: Listener) -> None:
    listener.model.open = False
    await listener.hear((1.0, 0.5), (1.0, 0.0))
    await listener.model.give()
    assert listener.of(Partial) == []
    assert [final and final.text for final in await listener.make_finals()] == ["a"]


async def test_partials_come_at_their_interval_and_one_at_a_time(listener: Listener) -> None:
    listener.model.open = False
    making = asyncio.create_task(listener.track.make_partials(lambda: 500, 700))
    await listener.hear((0.6, 0.5))
    assert listener.model.in_flight == 0
    await listener.hear((0.3, 0.5))
    assert listener.model.in_flight == 1
    await listener.hear((2.0, 0.5))
    assert len(listener.model.begun) == 1  # those that would have come meanwhile are left out
    await listener.model.give(heard("một"))
    await listener.hear((0.1, 0.5))
    await listener.model.give(heard("một hai"))
    assert [p.end_ms for p in listener.of(Partial) if isinstance(p, Partial)] == [
        pytest.approx(750, abs=64),
        pytest.approx(2_900, abs=64),
    ]
    making.cancel()


async def test_partials_of_a_long_utterance_come_however_rare_the_others_are(listener: Listener) -> None:
    making = asyncio.create_task(listener.track.make_partials(lambda: 60_000, 700))
    await listener.hear((TRIM_AFTER_S - 0.5, 0.5))
    assert len(listener.model.begun) == 1
    await listener.hear((1.0, 0.5))
    assert len(listener.model.begun) == 2
    await listener.hear((LONG_EVERY_MS / 1000 - 0.7, 0.5))
    assert len(listener.model.begun) == 2
    await listener.hear((0.8, 0.5))
    assert len(listener.model.begun) == 3
    making.cancel()


async def test_the_first_partial_is_tried_for_however_rare_the_others_are(listener: Listener) -> None:
    making = asyncio.create_task(listener.track.make_partials(lambda: 60_000, 700))
    listener.model.answer = heard("ạ", logprob=-5.0)  # not believed, so there is nothing to show
    await listener.hear((0.8, 0.5))
    assert (len(listener.model.begun), listener.of(Partial)) == (1, [])
    listener.model.answer = heard("một")
    await listener.hear((LONG_EVERY_MS / 1000 + 0.1, 0.5))
    assert (len(listener.model.begun), len(listener.of(Partial))) == (2, 1)
    await listener.hear((1.5, 0.5))
    assert len(listener.model.begun) == 2
    making.cancel()


async def test_a_model_that_is_away_costs_partials_and_nothing_else(listener: Listener) -> None:
    making = asyncio.create_task(listener.track.make_partials(lambda: 500, 500))
    listener.model.failures = 1
    await listener.hear((0.6, 0.5))
    assert (len(listener.model.begun), listener.of(Partial)) == (1, [])
    await listener.hear((0.6, 0.5))
    await come_true(lambda: len(listener.of(Partial)) == 1)
    making.cancel()


async def test_a_track_that_is_closed_leaves_the_model_nothing_to_do(listener: Listener) -> None:
    listener.model.open = False
    await listener.hear(*[(1.0, 0.5), (0.6, 0.0)] * 2, (1.0, 0.5), (0.2, 0.0))
    assert (len(listener.ended), listener.model.in_flight) == (2, 2)
    listener.track.close()
    await settled()
    assert listener.model.in_flight == 0


@pytest.mark.parametrize("forced", [False, True])
async def test_where_speech_is_torn_nothing_is_heard_twice(listener: Listener, forced: bool) -> None:
    for _ in range(2):
        await listener.hear((20.0, 0.5))  # 27 s are too long for one
        if forced:
            await listener.track.force_end()
    await listener.hear((1.0, 0.0))
    assert len(await listener.make_finals()) == 2
    heard = sum(len(request.audio) for request in listener.model.begun if request.careful)
    assert 0 <= heard - 40 * SECOND < PADDING


# What is settled, and what is forgotten.


async def test_silence_is_settled_as_it_is_heard(listener: Listener) -> None:
    await listener.hear((3.0, 0.0))
    assert listener.track.settled == listener.track.processed
    assert listener.track.processed == pytest.approx(3 * SECOND, abs=2 * WINDOW)


async def test_speech_is_settled_with_its_final(listener: Listener) -> None:
    await listener.hear((1.0, 0.0), (1.0, 0.5), (3.0, 0.0))
    assert listener.track.settled == pytest.approx(SECOND, abs=2 * WINDOW)
    await listener.make_finals()
    assert listener.track.settled == listener.told[-1].end_ms * 16  # type: ignore[union-attr]
    await listener.hear((0.1, 0.0))
    assert listener.track.settled == listener.track.processed


async def test_what_may_become_speech_is_not_settled(listener: Listener) -> None:
    await listener.hear((1.0, 0.0))
    before = listener.track.settled
    await listener.track.hear(np.full(2 * WINDOW, 0.5, np.float32))
    assert (listener.track.settled, listener.of(SpeechStarted)) == (before, [])


async def test_a_resumed_track_does_not_hear_again_what_is_settled(listener: Listener) -> None:
    listener.begin(settled=101 * SECOND, begin=100 * SECOND)
    await listener.hear((1.0, 0.5), (1.0, 0.0), (1.0, 0.5), (1.0, 0.0))
    assert [started.start_ms for started in listener.told if isinstance(started, SpeechStarted)] == [
        pytest.approx(audio.milliseconds(102 * SECOND), abs=64)
    ]


async def test_hours_of_silence_are_not_remembered(listener: Listener) -> None:
    for _ in range(60):
        await listener.hear((5.0, 0.0))
    assert listener.kept < audio.samples(MEMORY_MS) + 2 * SAMPLE_RATE


async def test_minutes_of_speech_with_its_finals_are_not_remembered(listener: Listener) -> None:
    for _ in range(40):
        await listener.hear((5.0, 0.5), (0.5, 0.0))
        await listener.make_finals()
    await settled()
    assert listener.kept < (LONGEST_S + 8) * SAMPLE_RATE
    assert len(listener.track._passages) == 0


# Finals that belong together.


async def refined(listener: Listener) -> dict[int, str]:
    """What is refined, once all is silent."""
    await listener.hear((1.0, 0.0))
    await listener.make_finals()
    await listener.track.refined(5)
    return {each.final_index: each.text for each in listener.told if isinstance(each, Refinement)}


async def test_finals_with_little_silence_between_them_are_heard_again_as_one(echo: Listener) -> None:
    await echo.hear((0.5, 0.0), (1.0, 0.5), (0.55, 0.0), (1.5, 0.5), (0.55, 0.0), (1.0, 0.5))
    assert await refined(echo) == {0: "v0", 1: "v1", 2: "v2"}
    last = echo.model.begun[-1]
    assert len(last.audio) / SAMPLE_RATE == pytest.approx(1 + 0.55 + 1.5 + 0.55 + 1 + 2 * 0.288, abs=0.2)
    assert (last.language, last.careful, last.context) == ("vi", True, "")


async def test_each_final_gets_the_words_that_are_in_it(echo: Listener) -> None:
    await echo.hear((1.0, 0.5), (0.1, 0.0), (1.0, 0.5), (0.55, 0.0), (1.0, 0.5))
    assert await refined(echo) == {0: "v0 v1", 1: "v2"}
    for refinement in echo.of(Refinement):
        assert isinstance(refinement, Refinement)
        assert [word.text for word in refinement.words] == refinement.text.split()
        assert refinement.channel == 1


async def test_what_reads_as_before_is_not_told_again(echo: Listener) -> None:
    echo.model.again = "w"  # type: ignore[attr-defined]
    await echo.hear((1.0, 0.5), (0.5, 0.0), (1.0, 0.5))
    assert await refined(echo) == {1: "w1"}
    assert len(echo.model.begun) == 3


async def test_a_final_that_stands_alone_is_heard_again_only_when_there_is_time(echo: Listener) -> None:
    alone = ((1.0, 0.5), ((GAP_MS + 100) / 1000, 0.0), (1.0, 0.5), (1.0, 0.0))
    echo.load.feel(1.0)
    await echo.hear(*alone)
    assert await refined(echo) == {}
    assert len(echo.model.begun) == 2
    echo.begin()
    await echo.hear(*alone)
    await refined(echo)
    assert sorted(request.background for request in echo.model.begun[2:]) == [False, False, True, True]


@pytest.mark.parametrize("more", [(), ((0.55, 0.0), (1.0, 0.5))])
async def test_what_was_settled_in_the_middle_is_heard_again_from_its_beginning(
    echo: Listener, more: tuple[tuple[float, float], ...]
) -> None:
    await echo.hear((1.0, 0.0), (6.0, 0.5), (0.2, 0.0), (3.0, 0.5), *more)
    assert (await refined(echo))[0] == "v0 v1"
    assert "w0" in [request.context for request in echo.model.begun]
    last = echo.model.begun[-1]
    assert len(last.audio) / SAMPLE_RATE == pytest.approx(
        9.2 + sum(s for s, _ in more) + 2 * PADDING / SAMPLE_RATE, abs=0.2
    )


async def test_what_lasts_longer_than_any_passage_is_not_heard_again(echo: Listener) -> None:
    await echo.hear((LONGEST_S + 1, 0.5))
    assert await refined(echo) == {}


async def test_what_would_be_too_long_to_be_heard_again_is_divided(echo: Listener) -> None:
    for _ in range(6):
        await echo.hear((4.0, 0.5), (0.5, 0.0))
    await refined(echo)
    longest = max(len(request.audio) for request in echo.model.begun)
    assert 10 * SAMPLE_RATE < longest <= (LONGEST_S + 1) * SAMPLE_RATE


async def test_what_is_no_speech_is_no_part_of_a_passage(echo: Listener) -> None:
    await echo.hear((1.0, 0.5), (0.5, 0.0), (1.0, 0.5), (1.0, 0.0))
    first, second = echo.ended
    final = await first.final(0)
    echo.track.note_told(first, final)
    await second.final(1)
    echo.track.note_told(second, None)
    echo.ended.clear()
    assert await refined(echo) == {}


async def test_nothing_is_heard_again_when_the_model_is_busy_but_texts_are_refined(echo: Listener) -> None:
    echo.refiner.taught["w0"] = "W0."
    echo.load.note(0.0, 100.0)
    await echo.hear((1.0, 0.5), (0.5, 0.0), (1.0, 0.5))
    assert await refined(echo) == {0: "W0.", 1: "W0."}
    assert len(echo.model.begun) == 2


async def test_nothing_is_refined_when_that_is_not_wanted(echo: Listener) -> None:
    echo.refiner.taught["w0"] = "W0."
    echo.begin(refinements=False)
    await echo.hear((1.0, 0.5), (0.5, 0.0), (1.0, 0.5))
    assert await refined(echo) == {}
    assert echo.refiner.asked == []


async def test_a_passage_waits_for_all_its_finals(echo: Listener) -> None:
    await echo.hear((1.0, 0.5), (0.5, 0.0), (1.0, 0.5), (2.0, 0.0))
    await settled()
    assert echo.of(Refinement) == []
    await echo.make_finals()
    await come_true(lambda: len(echo.of(Refinement)) == 2)


async def test_the_voice_detectors_state_is_remembered_for_a_while_where_audio_may_begin_again(echo: Listener) -> None:
    await echo.hear((70.0, 0.0))
    newest = echo.track.processed // STATE_EVERY * STATE_EVERY
    assert echo.track.detector_state(newest) == str(newest).encode()
    assert echo.track.detector_state(newest - WINDOW) == echo.track.detector_state(0) == b""
