"""The command against real gRPC on a real port: what is sent, what is printed, how it exits."""

import itertools
import json
import re
import signal
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import grpc
import pytest
from ai2text.metadata.v1 import recording_service_pb2

from clients.cli import library
from mesh.keys import Keys
from servers.common import errors
from tests.rpc.cli_edge import OTHER_ID, RECORDING_ID, Edge, serving
from tests.rpc.cli_shell import Shell
from tests.rpc.cli_speech import MANY, VERSION, Act, digest

CLIP_MS = 1050


@pytest.fixture
def edge() -> Iterator[Edge]:
    with serving() as running:
        yield running


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A wav of another rate and with two channels, 1.05 s long."""
    path = tmp_path / "tiếng nói.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(b"\x10\x00\x10\x00" * (48 * CLIP_MS))
    return path


@pytest.fixture
def shell(edge: Edge, tmp_path: Path) -> Shell:
    return Shell(edge, tmp_path / "home")


def wait_until(true: Callable[[], bool], within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def objects(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_live_json_shows_every_event_with_its_latency(edge: Edge, shell: Shell, clip: Path) -> None:
    began = time.monotonic()
    result = shell("live", str(clip), "--json", "--language", "vi", "--title", "Thử")
    took = time.monotonic() - began
    assert (result.exit_code, result.stderr) == (0, "")
    events = objects(result.stdout)
    kinds = [event["type"] for event in events]
    in_turn = [kind for kind, _ in itertools.groupby(kinds)]
    assert in_turn == ["session", "speech_started", "partial", "speech_ended", "final"]
    assert 1 <= kinds.count("partial") <= 3, "fewer when much sound is sent at a time"
    assert all({"type", "text", "start_ms", "end_ms", "latency_ms"} <= event.keys() for event in events)
    assert (events[0]["recording_id"], events[0]["server_version"]) == (RECORDING_ID, VERSION)
    assert "secret" not in result.output, "a resume token is for this process alone"
    assert events[2]["text"] == "Xin chào"
    final = events[-1]
    assert (final["text"], final["end_ms"]) == ("Xin chào Việt Nam.", CLIP_MS)
    assert [word["text"] for word in final["words"]] == ["Xin", "chào", "Việt", "Nam."]
    assert final["latency_ms"] >= 0
    assert took > CLIP_MS / 1000, "a live file plays at the pace of speech"
    config = edge.speech.configs[0]
    assert (config.language_code, config.title, config.format.sample_rate_hz) == ("vi", "Thử", 16_000)
    assert (edge.speech.received_ms, edge.speech.half_closed) == (CLIP_MS, True)


def test_live_without_a_terminal_prints_finals_only_and_what_to_do_next(edge: Edge, shell: Shell, clip: Path) -> None:
    result = shell("live", str(clip), "--speed", "10")
    assert result.exit_code == 0
    assert "Xin chào Việt Nam." in result.stdout
    assert "Xin chào\n" not in result.stdout
    assert "1 utterance · final after" in result.stdout
    assert f"ai2text recordings export {RECORDING_ID} --format srt" in result.stdout
    assert 'ai2text search "Xin chào Việt Nam"' in result.stdout
    assert edge.speech.configs[0].partials_disabled, "nobody would see them"
    assert edge.speech.configs[0].title == "tiếng nói"


def test_live_without_storage_names_no_recording(edge: Edge, shell: Shell, clip: Path) -> None:
    result = shell("live", str(clip), "--speed", "10", "--no-store")
    assert edge.speech.configs[0].storage_disabled
    assert "Recording" not in result.stdout


def test_a_server_that_goes_away_ends_the_command_with_what_is_stored(edge: Edge, shell: Shell, clip: Path) -> None:
    edge.speech.final_every_ms = 500
    edge.speech.acts = [Act(break_after_ms=600, breaks=grpc.StatusCode.UNAVAILABLE)]
    edge.speech.always = Act(refuse=errors.Draining("this server is going away"))
    result = shell("live", str(clip), "--patience", "0.5")
    assert result.exit_code == 1
    assert "Xin chào Việt Nam." in result.stdout
    assert f"What was said up to 0:00 is in recording {RECORDING_ID}." in result.stderr
    assert "The session could not be resumed within 0.5 s. This server is going away (UNAVAILABLE" in result.stderr
    assert "`make status`" in result.stderr
    assert "Traceback" not in result.output


def test_a_server_that_is_killed_mid_stream(edge: Edge, shell: Shell, clip: Path) -> None:
    process = shell.start("live", str(clip), "--speed", "0.2", "--patience", "2", "--json")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["type"] == "session"
    edge.server.stop(None)
    _, errors_ = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "error: " in errors_
    assert "Traceback" not in errors_


def test_a_lost_connection_costs_one_quiet_line(edge: Edge, shell: Shell, clip: Path) -> None:
    edge.speech.final_every_ms = 500
    edge.speech.acts = [Act(break_after_ms=600, breaks=errors.Draining("this server is shutting down"))]
    result = shell("live", str(clip))
    assert result.exit_code == 0
    assert result.stdout.count("Xin chào Việt Nam.") == 3
    assert re.fullmatch(r"connection lost; resumed after \d\.\d s, nothing lost\n", result.stderr)
    assert edge.speech.received_ms == CLIP_MS


def test_a_session_that_is_gone_is_said_and_both_recordings_are_named(edge: Edge, shell: Shell, clip: Path) -> None:
    edge.speech.final_every_ms = 500
    edge.speech.acts = [Act(break_after_ms=600, breaks=errors.Draining("shutting down"), forgets=True)]
    result = shell("live", str(clip), "--json")
    assert "its session is gone, a new one began" in result.stderr
    events = objects(result.stdout)
    assert [event["session_id"] for event in events if event["type"] == "session"] == ["s1", "s2"]
    finals = [event for event in events if event["type"] == "final"]
    assert [(final["final_index"], final["start_ms"], final["end_ms"]) for final in finals] == [
        (0, 0, 500),
        (1, 500, 1000),
        (2, 1000, CLIP_MS),
    ]


def test_transcribe_resumes_too(edge: Edge, shell: Shell, clip: Path) -> None:
    edge.speech.acts = [Act(break_after_ms=600, breaks=grpc.StatusCode.UNAVAILABLE)]
    result = shell("transcribe", str(clip), "-f", "srt")
    assert (result.exit_code, result.stdout) == (0, "1\n00:00:00,000 --> 00:00:01,050\nXin chào Việt Nam.\n")
    assert "connection lost; resumed" in result.stderr


def test_every_wish_reaches_the_server(edge: Edge, shell: Shell, clip: Path) -> None:
    options = ["--languages", "vi, en", "--hotword", "Trần Hưng Đạo", "--hotword", "Ngô Quyền", "--pause-ms", "250"]
    options += ["--silence-ms", "1500", "--partial-words", "--no-partials"]
    assert shell("live", str(clip), "--speed", "20", *options).exit_code == 0
    (config,) = edge.speech.configs
    assert (config.language_code, list(config.language_codes)) == ("", ["vi", "en"])
    assert list(config.hotwords) == ["Trần Hưng Đạo", "Ngô Quyền"]
    assert config.endpointing.pause.ToMilliseconds() == 250
    assert config.endpointing.silence.ToMilliseconds() == 1500
    assert (config.partial_words_enabled, config.partials_disabled) == (True, True)


def test_without_a_wish_the_server_decides(edge: Edge, shell: Shell, clip: Path) -> None:
    shell("live", str(clip), "--speed", "20")
    (config,) = edge.speech.configs
    assert (config.HasField("endpointing"), config.format.channel_count) == (False, 1)


def test_channels_are_sent_apart(edge: Edge, shell: Shell, tmp_path: Path) -> None:
    path, sound = tmp_path / "call.wav", b"\x10\x00\x20\x00" * 16 * 500
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(sound)
    edge.speech.said = ""
    result = shell("live", str(path), "--speed", "10", "--channels")
    assert edge.speech.configs[0].format.channel_count == 2
    assert f"channel 0  {digest(sound)}" in result.stdout


def test_verbose_says_how_the_server_stands(edge: Edge, shell: Shell, clip: Path) -> None:
    edge.speech.acts = [Act(closing_after_ms=100)]
    result = shell("live", str(clip), "-v", "--speed", "0.3")
    assert result.exit_code == 0
    assert "server: it closes in 5.0 s" in result.stderr
    assert "the server is closing; resumed after" in result.stderr


def test_wishes_that_exclude_each_other(shell: Shell, clip: Path) -> None:
    both = shell("live", str(clip), "--language", "vi", "--languages", "vi,en")
    assert (both.exit_code, "not both" in both.stderr) == (2, True)
    assert shell("live", "--mic", "--channels").exit_code == 2
    assert shell("live", str(clip), "--pause-ms", "10").exit_code == 2


def test_a_server_at_its_bound_says_when_to_come_back(edge: Edge, shell: Shell, clip: Path) -> None:
    edge.speech.always = Act(refuse=errors.Overloaded("20 sessions are as many as this server takes"))
    result = shell("live", str(clip))
    assert result.exit_code == 1
    assert "20 sessions are as many as this server takes (RESOURCE_EXHAUSTED, OVERLOADED)" in result.stderr
    assert "Try again in 1 s." in result.stderr


def test_a_dependency_that_is_down(edge: Edge, shell: Shell, clip: Path) -> None:
    edge.speech.always = Act(refuse=errors.DependencyUnavailable("triton"))
    result = shell("live", str(clip))
    assert result.exit_code == 1
    assert "Triton does not answer at the moment; try again (UNAVAILABLE, DEPENDENCY_UNAVAILABLE)" in result.stderr
    assert "Try again in 2 s. `make status` shows what is down." in result.stderr


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_ends_the_audio_once_and_gives_up_twice(edge: Edge, shell: Shell, clip: Path, presses: int) -> None:
    edge.speech.always = Act(hang_after_ms=-1 if presses == 2 else MANY)
    process = shell.start("live", str(clip), "--speed", "0.1", "--json")
    wait_until(lambda: bool(edge.speech.configs))
    for _ in range(presses):
        time.sleep(1.2)
        process.send_signal(signal.SIGINT)
    out, errors_ = process.communicate(timeout=10)
    assert "Ctrl-C again to give up" in errors_
    assert "Traceback" not in errors_
    if presses == 1:
        assert process.returncode == 0
        assert objects(out)[-1]["type"] == "final"
        assert edge.speech.half_closed
        assert edge.speech.received_ms < CLIP_MS
    else:
        assert process.returncode == 130


def test_no_token(edge: Edge, shell: Shell, clip: Path) -> None:
    result = shell("live", str(clip), AI2TEXT_TOKEN="")
    assert result.exit_code == 1
    assert "there are no development keys in" in result.stderr
    assert "`ai2text token`" in result.stderr


def test_a_token_that_the_edge_refuses(edge: Edge, shell: Shell, clip: Path) -> None:
    for args in (["live", str(clip)], ["search", "xin"]):
        result = shell(*args, "--token", "wrong")
        assert result.exit_code == 1
        assert "The token was not accepted: Jwt is missing (UNAUTHENTICATED)" in result.stderr
        assert "`ai2text token` mints a development token" in result.stderr


def test_nobody_listens(shell: Shell, clip: Path) -> None:
    for args in (["live", str(clip)], ["transcribe", str(clip)], ["search", "xin"], ["recordings", "list"]):
        result = shell(*args, "--endpoint", "http://127.0.0.1:8799")
        assert result.exit_code == 1
        assert "http://127.0.0.1:8799 does not answer: connection refused (UNAVAILABLE)" in result.stderr
        assert "`make up`" in result.stderr


def test_local_keys_are_enough(edge: Edge, shell: Shell, tmp_path: Path) -> None:
    Keys(tmp_path / "home" / "keys").ensure()
    result = shell("recordings", "list", AI2TEXT_TOKEN="")
    assert "The token was not accepted" in result.stderr, "a minted token was sent; this edge knows only its own"


def test_no_microphone(shell: Shell) -> None:
    result = shell("live", "--mic", "--device", "no-such-device")
    assert result.exit_code == 1
    assert "The microphone 'no-such-device' cannot be opened" in result.stderr
    assert "arecord -L" in result.stderr


@pytest.mark.skipif("alsa" not in av.formats_available, reason="PyAV was built without ALSA")
def test_a_microphone_is_heard_until_ctrl_c(edge: Edge, shell: Shell, tmp_path: Path) -> None:
    """ALSA's own file plugin stands for the device: what is in `infile` is what it hears."""
    infile, config = tmp_path / "heard.raw", tmp_path / "asound.conf"
    infile.write_bytes(b"\x10\x00" * 16 * 5000)
    config.write_text(
        f'pcm.fake {{ type file slave.pcm {{ type null }} file "/dev/null" infile "{infile}" format raw }}\n'
    )
    process = shell.start("live", "--mic", "--device", "fake", "--json", ALSA_CONFIG_PATH=str(config))
    wait_until(lambda: edge.speech.received_ms >= 500)
    process.send_signal(signal.SIGINT)
    out, errors_ = process.communicate(timeout=10)
    assert (process.returncode, objects(out)[-1]["type"]) == (0, "final"), errors_
    assert edge.speech.configs[0].title == "", "the server knows the time as well as we do"


def test_wrong_files(shell: Shell, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.flac"
    garbage.write_bytes(b"not audio at all" * 100)
    assert "There is no file nowhere.wav." in shell("live", "nowhere.wav").stderr
    assert "cannot be decoded" in shell("transcribe", str(garbage)).stderr
    nothing = shell("live")
    assert (nothing.exit_code, "Nothing to listen to." in nothing.stderr) == (2, True)
    assert shell("live", str(garbage), "--mic").exit_code == 2


def test_transcribe_prints_text_and_stores_it(edge: Edge, shell: Shell, clip: Path) -> None:
    result = shell("transcribe", str(clip))
    assert (result.exit_code, result.stdout) == (0, "Xin chào Việt Nam.\n")
    assert f"1 utterance in 0:01 · recording {RECORDING_ID}" in result.stderr
    config = edge.speech.configs[0]
    assert (config.partials_disabled, config.storage_disabled) == (True, False)


def test_transcribe_writes_subtitles_and_json(shell: Shell, clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.srt"
    assert shell("transcribe", str(clip), "--format", "srt", "--output", str(target)).exit_code == 0
    assert target.read_text() == "1\n00:00:00,000 --> 00:00:01,050\nXin chào Việt Nam.\n"
    document = json.loads(shell("transcribe", str(clip), "-f", "json", "--no-store").stdout)
    assert (document["file"], document["recording_id"]) == ("tiếng nói.wav", "")
    assert document["segments"][0]["words"][0]["text"] == "Xin"


def test_transcribe_several_files_into_a_folder(shell: Shell, clip: Path, tmp_path: Path) -> None:
    second = tmp_path / "b.wav"
    second.write_bytes(clip.read_bytes())
    assert shell("transcribe", str(clip), str(second), "-f", "vtt").exit_code == 2
    assert shell("transcribe", str(clip), str(second), "-f", "vtt", "-o", str(tmp_path / "subs")).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "subs").iterdir()) == ["b.vtt", "tiếng nói.vtt"]


def test_search_shows_time_title_and_text_and_asks_for_each_title_once(edge: Edge, shell: Shell) -> None:
    result = shell("search", "xin", "chào", "--limit", "3", "--language", "vi")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [("1:02" in line, "Xin chào Việt Nam" in line) for line in lines[1:]] == [(True, True)] * 3
    assert [line.split()[-1] for line in lines[1:]] == [RECORDING_ID[:8], RECORDING_ID[:8], "gone"]
    assert ["Một" in line for line in lines[1:]] == [True, True, False]
    assert sorted(edge.recordings.asked) == sorted([RECORDING_ID, "gone"])
    request = edge.search.requests[0]
    assert (request.query, request.limit, request.language_code) == ("xin chào", 3, "vi")


def test_search_for_scripts(edge: Edge, shell: Shell) -> None:
    hits = objects(shell("search", "xin", "--json", "-r", RECORDING_ID[:4]).stdout)
    assert hits[0] | {"score": 0.03} == {
        "recording_id": RECORDING_ID,
        "title": "Một",
        "segment_id": "0",
        "start_ms": 62_000,
        "end_ms": 63_000,
        "text": "Xin chào Việt Nam",
        "highlights": [[4, 8]],
        "score": 0.03,
        "language_code": "",
        "channel": 0,
        "semantic_rank": 0,
        "lexical_rank": 0,
    }
    assert list(edge.search.requests[0].recording_ids) == [RECORDING_ID]


def test_search_says_when_nothing_is_found_and_when_meaning_took_no_part(edge: Edge, shell: Shell) -> None:
    edge.search.rankings = (2,)
    result = shell("search", "nothing")
    assert result.stdout == "Nothing was found.\n"
    assert "found by words only" in result.stderr


def test_search_sends_every_filter(edge: Edge, shell: Shell) -> None:
    part = ("-r", RECORDING_ID[:4], "--from", "1:02", "--to", "1:00:00")
    times = ("--after", "2026-11-01T00:00Z", "--before", "2026-11-02T00:00Z")
    channels = ("--channel", "1", "--channel", "0", "--channel", "1")
    assert shell("search", "xin", "--label", "team=a", "--label", "show=news", *times, *part, *channels).exit_code == 0
    narrowed = edge.search.requests[0].filter
    assert dict(narrowed.labels) == {"team": "a", "show": "news"}
    assert narrowed.recorded_after.ToJsonString() == "2026-11-01T00:00:00Z"
    assert narrowed.recorded_before.ToJsonString() == "2026-11-02T00:00:00Z"
    assert (narrowed.start_ms, narrowed.end_ms) == (62_000, 3_600_000)
    assert list(narrowed.channels) == [1, 0]


def test_search_shows_channels_where_there_are_several(shell: Shell) -> None:
    heading, *rows = shell("search", "two").stdout.splitlines()
    assert heading.split()[:2] == ["time", "channel"]
    assert [row.split()[:2] for row in rows] == [["0:00:01", "0"], ["0:00:01", "1"]]
    assert "channel" not in shell("search", "xin").stdout
    assert [hit["channel"] for hit in objects(shell("search", "two", "--json").stdout)] == [0, 1]


def test_search_shows_what_was_said_around_a_hit_in_its_channel(shell: Shell) -> None:
    for nth, said, elsewhere in (("1", "lời 1", "câu"), ("2", "câu 1", "lời")):
        text = shell("search", "two", "--play", "--hit", nth).stdout
        assert said in text
        assert elsewhere not in text


def test_search_shows_a_page_or_all_of_them(edge: Edge, shell: Shell) -> None:
    first = shell("search", "many")
    assert "--page t1" in first.stderr
    second = shell("search", "many", "--page", "t1")
    assert second.stderr == ""
    assert [request.page_token for request in edge.search.requests] == ["", "t1"]
    every = objects(shell("search", "many", "--all", "--json").stdout)
    assert [hit["segment_id"] for hit in every] == ["0", "1"]
    assert [(request.page_token, request.limit) for request in edge.search.requests[2:]] == [("", 100), ("t1", 100)]


def test_search_by_recording(edge: Edge, shell: Shell) -> None:
    lines = shell("search", "xin", "--group").stdout.splitlines()[1:]
    assert ["Một" in line for line in lines] == [True, False, False]
    groups = objects(shell("search", "xin", "--group", "--json").stdout)
    assert [(one["recording_id"], one["title"], len(one["hits"])) for one in groups] == [
        (RECORDING_ID, "Một", 2),
        ("gone", "", 1),
    ]


def test_search_explains(shell: Shell) -> None:
    text = shell("search", "xin", "--explain").stdout
    assert "Meaning counted" in text
    assert text.splitlines()[-1].split() == ["in", "all", "1.50"]
    *found, last = objects(shell("search", "xin", "--explain", "--json").stdout)
    assert [hit["explanation"]["exact_words"] for hit in found] == [["chào"]] * 3
    assert last["explanation"]["timings_us"]["total"] == 1_500


def test_search_shows_the_moment_of_the_best_hit(shell: Shell) -> None:
    text = shell("search", "xin", "--play").stdout
    assert f"0:01:02 of 'Một' ({RECORDING_ID})" in text


def test_search_asks_again_and_again(edge: Edge, shell: Shell) -> None:
    result = shell("search", "-i", "-n", "3", answer="xin\n:open 2\n:quit\nnever\n")
    assert result.exit_code == 0
    assert [(request.query, request.limit) for request in edge.search.requests] == [("xin", 3)]
    assert result.stdout.count("0:01:02") >= 4
    assert (Path(shell.environ["AI2TEXT_HOME"]) / "search_history").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "What are you looking for?"),
        (["x", "--all", "--page", "t"], "--all begins at the first page"),
        (["x", "--hit", "2"], "--hit says which hit is played"),
        (["-i", "--json"], "--interactive goes with neither"),
        (["x", "--label", "team"], "'team' is no label"),
        (["x", "--after", "then"], "--after then is no time"),
        (["x", "--from", "1:00"], "moments of a recording"),
        (["x", "--channel", "8"], "less than or equal to 7"),
        (["x", "-r", RECORDING_ID, "--to", "soon"], "--to soon is no moment"),
    ],
)
def test_search_refuses_options_that_make_no_sense(shell: Shell, args: list[str], said: str) -> None:
    result = shell("search", *args)
    assert result.exit_code == 2
    assert said in result.stderr


def test_recordings_list_goes_through_the_pages(shell: Shell) -> None:
    result = shell("recordings", "list")
    assert result.exit_code == 0
    assert [part in result.stdout for part in (RECORDING_ID, OTHER_ID, "Hai [b]", "1:01")] == [True] * 4
    assert [found["title"] for found in objects(shell("recordings", "list", "--json", "-n", "1").stdout)] == ["Một"]


def test_recordings_show_and_export_take_an_abbreviated_id(shell: Shell, tmp_path: Path) -> None:
    shown = shell("recordings", "show", "0198")
    assert (shown.exit_code, shown.stdout.splitlines()[3:]) == (
        0,
        [
            "  0:00.0  channel 0  lời 0",
            "  0:00.0  channel 1  câu 0",
            "  0:01.0  channel 0  lời 1",
            "  0:01.0  channel 1  câu 1",
        ],
    )
    document = json.loads(shell("recordings", "show", OTHER_ID, "--json").stdout)
    told = [(segment["start_ms"], segment["channel"]) for segment in document["segments"]]
    assert told == [(0, 0), (0, 1), (1000, 0), (1000, 1)]
    expected = "WEBVTT\n\n00:00:00.000 --> 00:00:00.900\ncâu 0\n"
    assert shell("recordings", "export", RECORDING_ID, "--format", "vtt").stdout == expected
    target = tmp_path / "a.vtt"
    assert shell("recordings", "export", "0198", "--format", "vtt", "--output", str(target)).exit_code == 0
    assert target.read_text() == expected


def test_one_channel_of_a_recording_is_shown_and_exported(shell: Shell) -> None:
    shown = shell("recordings", "show", "0198", "--channel", "0")
    assert shown.stdout.splitlines()[3:] == ["  0:00.0  lời 0", "  0:01.0  lời 1"]
    assert "câu của 0" in shell("recordings", "export", "0198", "-f", "vtt", "--channel", "0").stdout
    missing = shell("recordings", "show", "0198", "--channel", "5")
    assert (missing.exit_code, "no transcript of channel 5" in missing.stderr) == (1, True)
    assert "It has those of: 0, 1." in missing.stderr
    assert shell("recordings", "show", "0198", "--channel", "8").exit_code == 2


def test_recordings_that_are_not_there(shell: Shell) -> None:
    missing = shell("recordings", "show", "ffffffff-0000-7000-8000-000000000000")
    assert (missing.exit_code, "NOT_FOUND, RECORDING_NOT_FOUND" in missing.stderr) == (1, True)
    assert "begins with 'ffff'" in shell("recordings", "show", "ffff").stderr
    assert "2 recordings' ids begin with '0'" in shell("recordings", "show", "0").stderr
    assert shell("recordings", "export", RECORDING_ID, "--format", "doc").exit_code == 2


def test_of_a_recording_that_may_be_older_than_those_looked_at_nothing_untrue_is_said(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "PREFIX_LOOKS_AT", 1)
    older = shell("recordings", "show", OTHER_ID[:4])
    assert (older.exit_code, "None of the 1 newest recordings' ids begins with '0299'" in older.stderr) == (1, True)


def test_recordings_list_asks_for_what_is_wanted(edge: Edge, shell: Shell) -> None:
    options = ["--title", "tin", "--language", "vi", "--label", "show=news", "--label", "done", "--order", "longest"]
    times = ["--after", "2026-11-25", "--before", "2026-11-25T14:30:00+07:00"]
    assert shell("recordings", "list", *options, *times, "-n", "2", TZ="UTC").exit_code == 0
    first, second = edge.recordings.listed
    assert (first.title_contains, first.language_code, list(first.labels)) == ("tin", "vi", ["show=news", "done"])
    assert first.order == recording_service_pb2.RECORDING_ORDER_LONGEST
    assert first.created_before.ToJsonString() == "2026-11-25T07:30:00Z"
    assert first.HasField("created_after")
    assert (second.page_token, second.title_contains, second.order) == ("1", "tin", first.order)


def test_recordings_list_says_what_is_no_time_and_no_order(shell: Shell) -> None:
    wrong = shell("recordings", "list", "--after", "yesterday")
    assert (wrong.exit_code, "--after yesterday is no time." in wrong.stderr) == (2, True)
    assert shell("recordings", "list", "--order", "shortest").exit_code == 2


def test_recordings_rename(edge: Edge, shell: Shell) -> None:
    result = shell("recordings", "rename", "0198", "Bản tin [tối]")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "Bản tin [tối]")
    assert edge.recordings.titles[RECORDING_ID] == "Bản tin [tối]"
    assert list(edge.recordings.updates[0].update_mask.paths) == ["title"]


def test_recordings_label_keeps_what_others_change_meanwhile(edge: Edge, shell: Shell) -> None:
    edge.recordings.labels[RECORDING_ID] = {"old": "1", "kept": "2"}
    edge.recordings.rivals = 2
    result = shell("recordings", "label", "0198", "show=news", "empty=", "old-")
    assert result.exit_code == 0
    assert edge.recordings.labels[RECORDING_ID] == {
        "kept": "2", "rival-1": "x", "rival-0": "x", "show": "news", "empty": ""
    }  # fmt: skip
    assert [update.recording.etag for update in edge.recordings.updates] == ["v0", "v1", "v2"]
    assert "empty kept=2" in result.stdout
    assert "show=news" in shell("recordings", "list").stdout


def test_recordings_label_gives_up_when_others_are_always_faster(edge: Edge, shell: Shell) -> None:
    edge.recordings.rivals = 100
    result = shell("recordings", "label", "0198", "show=news")
    assert (result.exit_code, "ETAG_MISMATCH" in result.stderr, len(edge.recordings.updates)) == (1, True, 5)


@pytest.mark.parametrize("change", ["show", "=news", "-"])
def test_recordings_label_says_what_changes_no_label(edge: Edge, shell: Shell, change: str) -> None:
    result = shell("recordings", "label", "0198", "--", change)
    assert (result.exit_code, f"{change} changes no label." in result.stderr) == (2, True)
    assert edge.recordings.updates == []


@pytest.mark.parametrize(("answer", "gone"), [("y\n", True), ("n\n", False), ("", False)])
def test_recordings_delete_asks_first(edge: Edge, shell: Shell, answer: str, gone: bool) -> None:
    result = shell("recordings", "delete", "0198", OTHER_ID, "0198", answer=answer)
    assert "Delete these 2 recordings for good?" in result.stderr
    assert "Hai [b]" in result.stderr
    assert (result.exit_code, edge.recordings.titles == {}) == (0 if gone else 1, gone)


def test_recordings_delete_that_need_not_ask(edge: Edge, shell: Shell) -> None:
    result = shell("recordings", "delete", RECORDING_ID, "--yes")
    assert (result.exit_code, list(edge.recordings.titles)) == (0, [OTHER_ID])
    assert result.stderr == f"deleted {RECORDING_ID}\n"
    assert "NOT_FOUND" in shell("recordings", "delete", RECORDING_ID, "--yes").stderr


def test_capabilities(shell: Shell) -> None:
    assert "whisper-base" in shell("capabilities").stdout
    assert json.loads(shell("capabilities", "--json").stdout)["languages"] == ["en", "vi"]


def test_the_trace_goes_with_the_call(edge: Edge, shell: Shell, clip: Path) -> None:
    collector = f"http://127.0.0.1:{edge.port}"  # it knows no OTLP: the command must not mind
    result = shell("live", str(clip), "--speed", "10", "--verbose", AI2TEXT_OTLP_ENDPOINT=collector)
    assert result.exit_code == 0
    trace_id = result.stderr.split("trace ")[1].split()[0]
    assert [header.split("-")[1] for header in edge.speech.traceparents] == [trace_id]
