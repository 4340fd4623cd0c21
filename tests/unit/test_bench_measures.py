"""What a session that went so and so shows."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai2text.asr.v1 import result_pb2, speech_service_pb2
from google.protobuf import duration_pb2

from bench import accuracy, measures, tables
from bench.clips import Clip
from bench.load import Round
from bench.measures import Flicker
from bench.scripts import Script, Turn
from bench.speaker import Arrival, Ending, Take
from bench.usage import Usage
from bench.voices import SAMPLES_PER_MS, Voice

BEGAN = 1000.0
BYTES_PER_MS = 32


def voice(name: str, length_ms: int) -> Voice:
    pcm = np.zeros(length_ms * SAMPLES_PER_MS, np.int16)
    return Voice(Clip(Path(name), "en", "one two three"), pcm, ((200, length_ms - 300),))


FIRST, SECOND, CLOSING = voice("first", 3000), voice("second", 3000), voice("closing", 3000)
SCRIPT = Script("en", (Turn(FIRST, 1000), Turn(SECOND, 8000), Turn(CLOSING, 15_000)), 17_000)
"""Speech from 1200 to 3700, from 8200 to 10,700, and from 15,200 on."""


def message(at_ms: float, **event: Any) -> Arrival:
    cursors = result_pb2.Cursors(received_ms=17_000)
    return Arrival(BEGAN + at_ms / 1000, speech_service_pb2.StreamingRecognizeResponse(cursors=cursors, **event))


def started() -> Arrival:
    return message(0, session_started=speech_service_pb2.SessionStarted())


def final(at_ms: float, start_ms: int, end_ms: int, text: str = "one two three", index: int = 0) -> Arrival:
    return message(at_ms, final=result_pb2.FinalResult(final_index=index, text=text, start_ms=start_ms, end_ms=end_ms))


def partial(at_ms: float, start_ms: int, stable: str, unstable: str = "", end_ms: int = 0, **more: Any) -> Arrival:
    shown = result_pb2.PartialResult(
        stable_text=stable, unstable_text=unstable, start_ms=start_ms, end_ms=end_ms, **more
    )
    return message(at_ms, partial=shown)


def take(*arrivals: Arrival, ending: Ending | None = None, sent_ms: int = 17_000) -> Take:
    return Take(BEGAN, sent_ms * BYTES_PER_MS, list(arrivals), ending=ending)


def figures(*takes: Take, window: tuple[float, float] = (BEGAN, BEGAN + 15)) -> measures.Figures:
    return measures.figures(Round([SCRIPT] * len(takes), list(takes), window, Usage({}, {}), 0.0))


def test_the_reference_says_when_the_last_utterance_of_a_turn_ended_and_the_server_when_others_did() -> None:
    heard = take(started(), final(2500, 1200, 2000), final(4100, 2400, 3740), final(11_000, 8200, 10_650))
    found = list(measures.delays(SCRIPT, heard))
    assert [round(delay.ms) for delay in found] == [500, 400, 300]
    assert [delay.offset_ms for delay in found] == [None, 40, -50]


def test_a_server_that_hears_the_end_elsewhere_is_taken_by_its_word() -> None:
    (found,) = measures.delays(SCRIPT, take(started(), final(2500, 1200, 2000)))
    assert (round(found.ms), found.offset_ms) == (500, None)


def test_an_end_that_the_server_hears_late_counts_from_the_reference() -> None:
    (found,) = measures.delays(SCRIPT, take(started(), final(5000, 1200, 4600)))
    assert (round(found.ms), found.offset_ms) == (1300, 900)


def test_how_many_finals_count_from_the_servers_own_end_is_told() -> None:
    heard = take(started(), final(2500, 1200, 2000), final(4100, 2400, 3740), final(11_500, 8200, 11_400))
    shown = figures(heard)
    assert (shown.latency.count, shown.by_server) == (3, 1)


def test_a_final_that_the_end_of_the_session_brought_has_no_latency() -> None:
    heard = take(started(), final(16_000, 15_200, 15_600), final(17_300, 16_400, 17_000))
    assert [round(delay.ms) for delay in measures.delays(SCRIPT, heard)] == [400]


def test_the_endpoint_is_told_apart_from_what_follows_it() -> None:
    ended = message(3990, speech_ended=speech_service_pb2.SpeechEnded(end_ms=3700))
    (found,) = measures.delays(SCRIPT, take(started(), ended, final(4100, 1200, 3700)))
    assert found.after_endpoint_ms == pytest.approx(110)


def test_only_what_ended_while_all_were_there_counts() -> None:
    heard = take(started(), final(4100, 1200, 3700), final(11_000, 8200, 10_700))
    assert figures(heard, window=(BEGAN + 5, BEGAN + 15)).latency.count == 1
    assert figures(heard).latency.count == 2


def test_the_first_partial_counts_from_the_first_sound() -> None:
    heard = take(started(), partial(1900, 1230, "one"), partial(2300, 1230, "one two"), partial(9000, 8200, "one"))
    assert [round(ms) for ms in measures.first_partials(SCRIPT, heard)] == [700, 800]
    assert [round(ms) for ms in measures.cadences(heard)] == [400]


def test_a_complete_partial_shows_the_text_before_the_final() -> None:
    early = partial(2300, 1200, "one two", end_ms=2200, complete=True)  # only a pause
    whole = partial(3900, 1200, "one two three", end_ms=3900, complete=True)
    (found,) = measures.delays(SCRIPT, take(started(), early, whole, final(4100, 1200, 3700)))
    assert found.complete_ms == pytest.approx(200)
    (found,) = measures.delays(SCRIPT, take(started(), early, final(4100, 1200, 3700)))
    assert found.complete_ms is None


@pytest.mark.parametrize(
    ("shown", "settled", "changed"),
    [
        ("two three four", "One two, three four.", 1),
        ("one two two three", "one two three four", 1),
        ("one two", "one two three four five", 0),
        ("alpha beta", "one two three", 2),
        ("", "one", 0),
        ("one two", "", 2),
    ],
)
def test_words_that_only_move_have_not_changed(shown: str, settled: str, changed: int) -> None:
    heard = take(started(), partial(1900, 1200, "", shown), final(4100, 1200, 3700, settled))
    assert measures.flicker(heard, stable_only=False) == Flicker(changed, len(shown.split()))


def test_flicker_counts_the_words_that_the_final_has_otherwise() -> None:
    heard = take(
        started(),
        partial(1900, 1200, "one", " too"),
        partial(2300, 1200, "one too", " three four"),
        final(4100, 1200, 3700, "One, two three."),
    )
    assert measures.flicker(heard, stable_only=True) == Flicker(changed=1, shown=3)
    assert measures.flicker(heard, stable_only=False) == Flicker(changed=3, shown=6)


def test_words_that_no_final_follows_have_all_changed() -> None:
    assert measures.flicker(take(started(), partial(1900, 1200, "one two")), stable_only=True) == Flicker(2, 2)
    broken = take(started(), partial(1900, 1200, "one two"), ending=Ending("UNAVAILABLE", "", None))
    assert measures.flicker(broken, stable_only=True) == Flicker(0, 0)


def test_changed_words_are_those_of_all_rounds_and_none_where_nothing_was_shown() -> None:
    steady = figures(take(started(), partial(1900, 1200, "one", " two"), final(4100, 1200, 3700)))
    wavering = figures(take(started(), partial(1900, 1200, "one", " too"), final(4100, 1200, 3700)))
    silent = figures(take(started()))
    assert tables.flickers([steady, silent, wavering, steady]) == {
        "flicker_rate": 0.1667, "flicker_rate_stable": 0.0, "flicker_rate_worst_round": 0.5,
    }  # fmt: skip
    assert tables.flickers([silent]) == {}
    assert math.isnan(Flicker().rate)


def test_a_refinement_is_the_last_word() -> None:
    better = result_pb2.RefinementResult(final_index=1, text="Four, six seven.")
    heard = take(
        started(),
        final(4100, 1200, 3700, "one two", index=0),
        final(11_000, 8200, 10_700, "four five", index=1),
        message(12_000, refinement=better),
    )
    assert heard.first_text == "one two four five"
    assert heard.text == "one two Four, six seven."
    assert measures.refined(heard) == Flicker(changed=2, shown=4)


def test_audio_that_the_last_cursor_does_not_tell_of_is_dropped() -> None:
    assert figures(take(started())).dropped_bytes == 0
    assert figures(take(started(), sent_ms=17_040)).dropped_bytes == 40 * BYTES_PER_MS


def test_refused_sessions_are_counted_apart_from_broken_ones() -> None:
    overloaded = Ending("RESOURCE_EXHAUSTED", "OVERLOADED", 2.0)
    shown = figures(
        take(started()),
        take(ending=overloaded),
        take(ending=Ending("RESOURCE_EXHAUSTED", "OVERLOADED", None)),
        take(started(), ending=Ending("UNAVAILABLE", "DRAINING", 1.0)),
    )
    assert (shown.admitted, shown.refused, shown.refused_without_retry) == (2, 2, 1)
    assert shown.broken == ("UNAVAILABLE DRAINING",)
    assert not shown.all_served


def test_stages_are_those_of_the_results_that_tell_them() -> None:
    times = result_pb2.ProcessingTimes(
        queue=duration_pb2.Duration(nanos=20_000_000), inference=duration_pb2.Duration(nanos=150_000_000)
    )
    stages = measures.Stages.of([result_pb2.FinalResult(processing_times=times), result_pb2.FinalResult()])
    assert (stages.queue.count, stages.queue.p50, stages.inference.p50) == (1, 20.0, 150.0)
    assert math.isnan(measures.Stages.of([]).queue.p50)


def test_coverage_compares_what_came_out_under_load_with_what_comes_out_without() -> None:
    heard = take(started(), final(4100, 1200, 3700, "one two"))
    round_ = Round([SCRIPT], [heard], (BEGAN, BEGAN + 15), Usage({}, {}), 0.0)
    covered = accuracy.coverage(round_, {Path("first"): "one two three", Path("second"): "one"})
    assert (covered.turns, covered.empty_turns, covered.words, covered.words_without_load) == (2, 1, 2, 4)
    assert covered.share == 0.5


def test_errors_under_load_are_those_of_the_turns_that_were_said() -> None:
    heard = take(started(), final(4100, 1200, 3700, "one two"), final(11_000, 8200, 10_700, index=1))
    round_ = Round([SCRIPT], [heard], (BEGAN, BEGAN + 15), Usage({}, {}), 0.0)
    scored = accuracy.rates_under_load(round_, "en")
    assert scored is not None
    assert scored.wer == pytest.approx(1 / 6)
    assert accuracy.rates_under_load(round_, "vi") is None
