"""What the command prints: captions, times, subtitles, tables, and what it reads: options, durations."""

import io
import json
import os
import re
from pathlib import Path

import pytest
from ai2text.asr.v1 import result_pb2, session_pb2, speech_service_pb2
from ai2text.search.v1 import hit_pb2
from google.protobuf import duration_pb2
from rich.console import Console

from clients.cli import finals, hits, times
from clients.cli.captions import PlainCaptions, TerminalCaptions
from clients.cli.commands.token import seconds
from clients.cli.events import event_record
from clients.cli.finals import Format
from clients.cli.group import globals_first
from clients.cli.live_stream import Resumption
from clients.cli.problem import Problem, UsageProblem
from clients.cli.setup import Setup
from clients.cli.speaking import resumed_line
from clients.cli.stream import Heard
from clients.cli.tally import Tally
from mesh.keys import Keys

FIRST = result_pb2.FinalResult(
    final_index=0,
    text="Xin chào.",
    words=[result_pb2.Word(text="Xin", start_ms=1_200, end_ms=1_500, confidence=0.5)],
    start_ms=1_200,
    end_ms=3_661_005,
    language_code="vi",
    confidence=0.75,
)
SECOND = result_pb2.FinalResult(final_index=1, text="Tạm biệt.", start_ms=3_700_000, end_ms=3_701_000)
Response = speech_service_pb2.StreamingRecognizeResponse


def test_positions_as_people_write_them() -> None:
    assert [times.clock(ms) for ms in (0, 59_999, 62_000, 3_600_000)] == ["0:00", "0:59", "1:02", "1:00:00"]
    assert times.precise(62_345) == "1:02.3"
    assert times.timestamp(3_661_005, ",") == "01:01:01,005"


def test_subtitles() -> None:
    assert finals.written([FIRST, SECOND], Format.SRT) == (
        "1\n00:00:01,200 --> 01:01:01,005\nXin chào.\n\n2\n01:01:40,000 --> 01:01:41,000\nTạm biệt.\n"
    )
    assert finals.written([FIRST], Format.VTT) == "WEBVTT\n\n00:00:01.200 --> 01:01:01.005\nXin chào.\n"
    assert finals.written([], Format.SRT) == ""
    assert finals.written([], Format.VTT) == "WEBVTT\n"


def test_text_and_json() -> None:
    assert finals.written([FIRST, SECOND], Format.TXT) == "Xin chào.\nTạm biệt.\n"
    document = json.loads(finals.written([FIRST], Format.JSON, {"file": "a.wav"}))
    assert (document["file"], document["segments"][0]["confidence"]) == ("a.wav", 0.75)
    assert document["segments"][0]["words"] == [{"text": "Xin", "start_ms": 1200, "end_ms": 1500, "confidence": 0.5}]


def test_every_event_has_the_five_fields() -> None:
    ended = Response(speech_ended=speech_service_pb2.SpeechEnded(end_ms=5))
    assert event_record(Heard(ended, 7)) == {
        "type": "speech_ended",
        "text": None,
        "start_ms": None,
        "end_ms": 5,
        "latency_ms": 7,
        "channel": 0,
    }
    started = Response(session_started=speech_service_pb2.SessionStarted(session_id="s", recording_id="r"))
    assert event_record(Heard(started, None))["type"] == "session"


def test_what_a_script_is_told_of_a_partial_a_final_and_the_server() -> None:
    times = result_pb2.ProcessingTimes(queue=duration(3), inference=duration(140), post_processing=duration(0))
    told = result_pb2.PartialResult(
        stable_text="Xin ", unstable_text="chào", channel=1, complete=True, words=FIRST.words, processing_times=times
    )
    record = event_record(Heard(Response(partial=told), 80))
    assert (record["text"], record["stable_text"], record["complete"], record["channel"]) == (
        "Xin chào",
        "Xin ",
        True,
        1,
    )
    assert record["words"] == [{"text": "Xin", "start_ms": 1200, "end_ms": 1500, "confidence": 0.5}]
    assert record["processing_times"] == {"queue_ms": 3.0, "inference_ms": 140.0, "post_processing_ms": 0.0}
    final = event_record(Heard(Response(final=SECOND), 80))
    assert (final["final_index"], final["channel"], final["processing_times"]["queue_ms"]) == (1, 0, 0.0)
    status = session_pb2.SessionStatus(credit=duration(4_000), closing_in=duration(8_500))
    record = event_record(Heard(Response(status=status), None))
    assert (record["type"], record["credit_ms"], record["partial_interval_ms"], record["closing_in_ms"]) == (
        "status",
        4_000,
        None,
        8_500,
    )


def test_a_resume_token_is_not_printed() -> None:
    started = speech_service_pb2.SessionStarted(resume_token="secret", server_version="stable", replay_from_ms=5)
    record = event_record(Heard(Response(session_started=started), None))
    assert (record["server_version"], record["replay_from_ms"]) == ("stable", 5)
    assert "secret" not in str(record)


def duration(milliseconds: int) -> duration_pb2.Duration:
    return duration_pb2.Duration(seconds=milliseconds // 1000, nanos=milliseconds % 1000 * 1_000_000)


def terminal() -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=True, width=60, highlight=False, legacy_windows=False), file


def partial(stable: str, unstable: str) -> Response:
    return Response(partial=result_pb2.PartialResult(stable_text=stable, unstable_text=unstable, end_ms=900))


def test_partials_are_redrawn_in_place_and_finals_stay() -> None:
    console, file = terminal()
    with TerminalCaptions(console).shown() as show:
        show(Heard(partial("Xin ", "ch"), 90))
        show(Heard(partial("Xin chào", " V"), 90))
        show(Heard(Response(final=FIRST), 321))
    shown = file.getvalue()
    assert "Xin \x1b[2mch\x1b[0m" in shown, "the unstable part is dim"
    assert "Xin chào.\x1b[2m  vi · 321 ms" in shown
    after_final = shown[shown.index("Xin chào.") :]
    assert "Xin chào\x1b" not in after_final, "no partial is left standing"


def test_without_a_terminal_lines_are_whole() -> None:
    file = io.StringIO()
    long = result_pb2.FinalResult(text="rất " * 100, end_ms=1)
    with PlainCaptions(Console(file=file, width=60)).shown() as show:
        show(Heard(partial("a", "b"), 1))
        show(Heard(Response(final=long), 5))
    assert file.getvalue().count("\n") == 1
    with PlainCaptions(Console(file=file, width=60), partials=True).shown() as show:
        show(Heard(partial("Xin ", "chào"), 44))
    assert file.getvalue().splitlines()[1].endswith("Xin chào  44 ms")


def test_channels_have_a_partial_each_and_are_named() -> None:
    console, file = terminal()
    with TerminalCaptions(console, channels=2).shown() as show:
        for channel, text in enumerate(("một", "hai")):
            show(Heard(Response(partial=result_pb2.PartialResult(unstable_text=text, channel=channel)), 90))
        before = len(file.getvalue())
        show(Heard(Response(final=result_pb2.FinalResult(text="Một.", channel=0)), 300))
    after = file.getvalue()[before:]
    assert re.search(r"channel 0  .*Một\.", after)
    assert re.search(r"channel 1  .*hai", after), "the other channel's partial stays"


def test_a_partial_that_is_complete_is_not_dim() -> None:
    console, file = terminal()
    complete = result_pb2.PartialResult(stable_text="Xin ", unstable_text="chào", complete=True)
    with TerminalCaptions(console).shown() as show:
        show(Heard(Response(partial=complete), 90))
    assert "Xin chào" in file.getvalue()


def test_how_the_server_stands_is_said_when_it_is_asked_for_and_news() -> None:
    easy = session_pb2.SessionStatus(credit=duration(5_000), partial_interval=duration(600))
    easier = session_pb2.SessionStatus(credit=duration(6_000), partial_interval=duration(600))
    full = session_pb2.SessionStatus(credit=duration(0), partial_interval=duration(1_200))
    for verbose, lines in ((False, 0), (True, 2)):
        console, file = terminal()
        with TerminalCaptions(console, verbose=verbose).shown() as show:
            for status in (easy, easier, full):
                show(Heard(Response(status=status), None))
        assert file.getvalue().count("server: partials after every") == lines
        assert ("sound for now" in file.getvalue()) is verbose


@pytest.mark.parametrize(
    ("resumption", "line"),
    [
        (Resumption(1.23, "Gone.", 0, False), "connection lost; resumed after 1.2 s, nothing lost"),
        (Resumption(0.04, "", 0, False), "the server is closing; resumed after 0.0 s, nothing lost"),
        (
            Resumption(9, "Gone.", 2_500, True),
            "connection lost; its session is gone, a new one began after 9.0 s, 2.5 s of sound are missing",
        ),
    ],
)
def test_a_resume_as_one_line(resumption: Resumption, line: str) -> None:
    assert resumed_line(resumption) == line


def test_finals_of_two_sessions_are_in_two_recordings() -> None:
    tally = Tally()
    for recording_id, final in (("r1", FIRST), ("r1", SECOND), ("r2", SECOND)):
        started = speech_service_pb2.SessionStarted(recording_id=recording_id)
        tally.keep(Heard(Response(session_started=started), None))
        tally.keep(Heard(Response(final=final), 100))
    assert tally.recording_ids == ["r1", "r2"]
    assert "Recording r1 and r2" in tally.summary()


REFINED = result_pb2.RefinementResult(final_index=0, text="Xin chào bạn.", words=FIRST.words, confidence=0.9)


def test_a_better_text_follows_its_final() -> None:
    console, file = terminal()
    with TerminalCaptions(console).shown() as show:
        show(Heard(Response(final=FIRST), 321))
        show(Heard(Response(refinement=REFINED), None))
    assert file.getvalue().index("Xin chào.") < file.getvalue().index("Xin chào bạn.")
    record = event_record(Heard(Response(refinement=REFINED), None))
    assert (record["type"], record["final_index"], record["text"], len(record["words"])) == (
        "refinement",
        0,
        "Xin chào bạn.",
        1,
    )


def test_the_newest_better_texts_are_written_and_what_came_stays() -> None:
    tally = Tally()
    worse = result_pb2.RefinementResult(final_index=0, text="Xin chào 2.", words=FIRST.words)
    gone = result_pb2.RefinementResult(final_index=1)
    for response in (
        Response(final=FIRST),
        Response(final=SECOND),
        Response(refinement=worse),
        Response(refinement=REFINED),
        Response(refinement=gone),
    ):
        tally.keep(Heard(response, None))
    assert [final.text for final in tally.finals] == ["Xin chào.", "Tạm biệt."]
    assert [(final.text, final.start_ms) for final in tally.refined] == [("Xin chào bạn.", FIRST.start_ms)]


def test_the_summary_names_the_recording_and_what_to_do() -> None:
    tally = Tally()
    tally.keep(Heard(Response(session_started=speech_service_pb2.SessionStarted(recording_id="r1")), None))
    assert tally.summary() == ["No speech was heard."]
    for final, latency in ((FIRST, 100), (SECOND, 300), (SECOND, 200)):
        tally.keep(Heard(Response(final=final), latency))
    assert tally.summary() == [
        "3 utterances · finals after 200 ms (median), 300 ms (slowest)",
        "Recording r1",
        '  search it:  ai2text search "Xin chào"',
        "  export it:  ai2text recordings export r1 --format srt",
    ]


def test_matches_are_marked_by_code_point() -> None:
    snippet = hit_pb2.Snippet(text="nuôi 👶 tốt", highlights=[hit_pb2.Highlight(start=7, end=10)])
    text = hits.highlighted(snippet)
    assert [text.plain[span.start : span.end] for span in text.spans] == ["tốt"]


@pytest.mark.parametrize(("given", "expected"), [("90s", 90), ("30m", 1800), ("12h", 43_200), ("1.5d", 129_600)])
def test_durations(given: str, expected: float) -> None:
    assert seconds(given) == expected


@pytest.mark.parametrize("given", ["", "12", "h", "-1h", "0s", "1w"])
def test_what_is_no_duration(given: str) -> None:
    with pytest.raises(UsageProblem, match="no duration"):
        seconds(given)


def test_global_options_may_stand_anywhere() -> None:
    assert globals_first(["live", "a.wav", "--token", "T", "--json", "--verbose", "--endpoint=http://x"]) == [
        "--token",
        "T",
        "--verbose",
        "--endpoint=http://x",
        "live",
        "a.wav",
        "--json",
    ]
    assert globals_first(["search", "--", "--token", "x"]) == ["search", "--", "--token", "x"]
    assert globals_first(["search", "--token"]) == ["--token", "search"]


def setup(home: Path, **environ: str) -> Setup:
    return Setup.read({"AI2TEXT_HOME": str(home), "USER": "lan", **environ})


def test_settings_come_from_the_line_then_the_environment_then_the_mesh(tmp_path: Path) -> None:
    environ = {"AI2TEXT_HOME": str(tmp_path), "AI2TEXT_PORT_BASE": "8780", "AI2TEXT_TOKEN": "b", "USER": "lan"}
    assert str(Setup.read(environ).endpoint) == "http://127.0.0.1:8780"
    assert Setup.read(environ, token="a").token() == "a"
    assert Setup.read(environ).token() == "b"
    with pytest.raises(UsageProblem, match="AI2TEXT_PORT_BASE"):
        Setup.read(environ | {"AI2TEXT_PORT_BASE": "x"})


@pytest.mark.parametrize("token", ["eyJh\nbGci", "tiếng"])
def test_what_cannot_be_a_token_is_said_at_once(tmp_path: Path, token: str) -> None:
    with pytest.raises(UsageProblem, match="The token has letters"):
        setup(tmp_path, AI2TEXT_TOKEN=token)
    assert setup(tmp_path, AI2TEXT_TOKEN=" eyJh\n").token() == "eyJh"


def test_a_user_whom_the_system_does_not_know_has_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr("getpass.getuser", unknown)
    assert Setup.read({"AI2TEXT_HOME": str(tmp_path)}).user == f"user-{os.getuid()}"


def test_a_local_mesh_needs_no_token_given(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no development keys"):
        setup(tmp_path).token()
    Keys(tmp_path / "keys").ensure()
    assert setup(tmp_path).token().count(".") == 2
    with pytest.raises(Problem, match="wants a token"):
        setup(tmp_path, AI2TEXT_ENDPOINT="https://speech.example.org").token()
