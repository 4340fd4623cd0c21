"""Which figures of live speech belong together, which are missing, and the plot of all that are there."""

from pathlib import Path

import pytest

from bench import report, speech_figures

OLD: dict[str, report.Figure] = {
    "p95_ms_at_50_streams": 700.0, "flicker_rate_all_words": 0.2, "wer_at_20_streams_vi": 0.4, "wer_live_vi": 0.3,
    "p95_ms_at_4_streams_tiny": 200.0, "peer_faster_whisper_p95_ms_at_1_streams": 900.0, "noises": 200,
    "peer_noises": 10, "finals_lost": 0, "endurance_hours": 2.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("anew", "gone"),
    [
        ("p95_ms_at_1_streams", {"p95_ms_at_50_streams", "flicker_rate_all_words", "wer_at_20_streams_vi"}),
        ("wer_offline_en", {"wer_live_vi"}),
        ("max_streams_under_500ms_tiny", {"p95_ms_at_4_streams_tiny"}),
        ("peer_max_streams_under_500ms", {"peer_faster_whisper_p95_ms_at_1_streams"}),
        ("hallucination_rate", {"noises"}),
        ("peer_hallucination_rate", {"peer_noises"}),
        ("resumes_tried", set()),
    ],
)
def test_what_is_measured_anew_takes_the_place_of_all_that_was_measured_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anew: str, gone: set[str]
) -> None:
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    report.write("asr", OLD)
    report.merge("asr", {anew: 1}, speech_figures.GROUPS.values())
    assert set(OLD) - set(report.read("asr")) == gone


def test_the_plot_has_every_run_in_the_file_hollow_where_some_were_refused() -> None:
    found = speech_figures.lines({
        "p95_ms_at_10_streams": 400.0, "p95_ms_at_2_streams": 300.0, "refused_at_10_streams": 3.0,
        "refused_at_2_streams": 0.0, "first_partial_p95_ms_at_2_streams": 1.0, "p95_ms_at_4_streams_tiny": 200.0,
        "refused_at_4_streams_tiny": 1.0, "peer_faster_whisper_p95_ms_at_1_streams": 900.0,
    })  # fmt: skip
    assert [(line.name, list(line.points), line.hollow) for line in found] == [
        ("AI2Text", [(2.0, 300.0), (10.0, 400.0)], {10.0}),
        ("AI2Text, tiny", [(4.0, 200.0)], {4.0}),
        ("faster-whisper, 30 s", [(1.0, 900.0)], frozenset()),
    ]


def test_an_earlier_run_does_not_stand_for_this_one_except_of_resumes() -> None:
    kept = dict.fromkeys((*speech_figures.PROMISED, *speech_figures.PROMISED_OF_RESUME), 1)
    assert speech_figures.missing(kept, kept) == []
    assert "wer_live_vi" in speech_figures.missing({}, kept)
    assert "finals_lost" not in speech_figures.missing({}, kept)
    assert "finals_lost" in speech_figures.missing(kept, {})
