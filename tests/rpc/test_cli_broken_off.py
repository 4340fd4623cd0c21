"""`ai2text transcribe` and `live` that end too early: what was heard until then is kept, and said where."""

import json
import signal
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.common import errors
from tests.rpc.cli_edge import Edge, serving
from tests.rpc.cli_shell import Shell
from tests.rpc.cli_speech import RECORDING_ID, Act

SOUND_S = 100
FINAL_S = 30
FAR_S = 95
"""No more than 60 s of a file are sent unsettled: when so much has arrived, the first final was heard by the client."""
TAKEN_OVER = errors.SessionTakenOver("the session goes on over another connection")


@pytest.fixture
def edge() -> Iterator[Edge]:
    with serving() as running:
        running.speech.final_every_ms = FINAL_S * 1000
        yield running


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 16_000 * SOUND_S))
    return path


@pytest.fixture
def shell(edge: Edge, tmp_path: Path) -> Shell:
    return Shell(edge, tmp_path / "home")


def test_what_was_heard_before_a_failure_is_printed_and_its_recording_named(
    edge: Edge, shell: Shell, clip: Path
) -> None:
    edge.speech.acts = [Act(break_after_ms=FAR_S * 1000, breaks=TAKEN_OVER)]
    edge.speech.always = Act(refuse=TAKEN_OVER)  # where gRPC has lost the first status
    result = shell("transcribe", clip)
    assert result.exit_code == 1
    assert set(result.stdout.splitlines()) == {"Xin chào Việt Nam."}
    assert "a.wav: broken off at " in result.stderr
    assert f" · recording {RECORDING_ID}\n" in result.stderr
    assert "another connection (" in result.stderr


def test_a_file_that_cannot_be_finished_is_left_as_it_is_and_one_beside_it_is_written(
    edge: Edge, shell: Shell, clip: Path, tmp_path: Path
) -> None:
    target, beside = tmp_path / "a.srt", tmp_path / "a.srt.partial"
    target.write_text("of another time")
    edge.speech.acts = [Act(break_after_ms=FAR_S * 1000, breaks=TAKEN_OVER)]
    edge.speech.always = Act(refuse=TAKEN_OVER)
    result = shell("transcribe", clip, "--format", "srt", "--output", target)
    assert (result.exit_code, result.stdout, target.read_text()) == (1, "", "of another time")
    assert beside.read_text().startswith("1\n00:00:00,000 --> 00:00:30,000\nXin chào Việt Nam.\n")
    assert f"written to {beside}" in result.stderr


def test_nothing_is_written_where_nothing_was_heard(edge: Edge, shell: Shell, clip: Path, tmp_path: Path) -> None:
    edge.speech.always = Act(refuse=TAKEN_OVER)
    result = shell("transcribe", clip, "--output", tmp_path / "a.txt")
    assert (result.exit_code, "broken off" in result.stderr) == (1, False)
    assert list(tmp_path.glob("a.txt*")) == []


def test_what_was_heard_before_ctrl_c_is_printed_and_its_recording_named(edge: Edge, shell: Shell, clip: Path) -> None:
    edge.speech.always = Act(hang_after_ms=FAR_S * 1000)
    with shell.start("transcribe", clip) as process:
        wait_for_sound(edge)
        process.send_signal(signal.SIGINT)
        out, complaints = process.communicate(timeout=20)
    assert process.returncode == 130
    assert set(out.splitlines()) == {"Xin chào Việt Nam."}
    assert f" · recording {RECORDING_ID}\n" in complaints
    assert "Traceback" not in complaints


def wait_for_sound(edge: Edge) -> None:
    deadline = time.monotonic() + 60
    while edge.speech.received_ms < FAR_S * 1000:
        assert time.monotonic() < deadline, "it did not arrive in time"
        time.sleep(0.02)


def test_giving_up_a_live_session_tells_which_recording_has_what_was_said(edge: Edge, shell: Shell, clip: Path) -> None:
    edge.speech.final_every_ms = 500
    edge.speech.always = Act(hang_after_ms=1_000)
    with shell.start("live", clip, "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while json.loads(process.stdout.readline())["type"] != "final":
            pass
        process.send_signal(signal.SIGINT)
        while "Ctrl-C again" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        complaints = process.stderr.read()
        assert process.wait(20) == 130
    assert f"is in recording {RECORDING_ID}." in complaints
    assert complaints.endswith("given up\n")
