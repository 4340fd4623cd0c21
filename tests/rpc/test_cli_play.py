"""`ai2text search --play` and `:play`: which player opens what, at which second, and what there is without one."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from servers.common import errors
from tests.rpc.cli_download import Edge, serving
from tests.rpc.cli_edge import environment
from tests.rpc.cli_speech import RECORDING_ID

PLAYER = """#!{python}
import json, os, sys, urllib.request
said = {{"name": os.path.basename(sys.argv[0]), "arguments": sys.argv[1:]}}
url = next(one for one in sys.argv[1:] if one.startswith("http"))
said["heard"] = urllib.request.urlopen(url.partition("#")[0]).read().decode()
with open({record!r}, "a") as file:
    file.write(json.dumps(said) + "\\n")
{then}
"""
CONTENT = b"sound"
FFPLAY = (
    "-hide_banner", "-loglevel", "error", "-stats", "-autoexit", "-ss", "59.000", "-window_title", "Một", "-i"
)  # fmt: skip
ADDRESS = "/file?name=a%2Fb%20%22c%22&address=1"


@pytest.fixture
def edge() -> Iterator[Edge]:
    with serving(CONTENT) as running:
        yield running


@dataclass
class Said:
    """What the command wrote to its terminal, and how it ended."""

    text: str
    code: int


class Shell:
    """Runs the command in a world where just these programs are installed."""

    def __init__(self, edge: Edge, folder: Path) -> None:
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.record = folder / "played"
        self.environ = environment(edge.address, folder / "home") | {
            "PATH": str(self.programs),
            "TERM": "dumb",
            "COLUMNS": "300",
        }

    def install(self, *names: str, then: str = "") -> None:
        """Players that write down how they were called, and what they were given at that address."""
        for name in names:
            program = self.programs / name
            program.write_text(PLAYER.format(python=sys.executable, record=str(self.record), then=then))
            program.chmod(0o755)

    def played(self) -> list[dict]:
        """What the players wrote down."""
        return [json.loads(line) for line in self.record.read_text().splitlines()] if self.record.exists() else []

    @contextlib.contextmanager
    def start(self, *args: str, **environ: str) -> Iterator[tuple[subprocess.Popen[bytes], int, list[bytes]]]:
        """The command in a terminal: the process, the terminal's other end, and what was written so far."""
        ours, theirs = pty.openpty()
        written: list[bytes] = []

        def read() -> None:
            with contextlib.suppress(OSError):  # EIO: nobody has the terminal any more
                while piece := os.read(ours, 4096):
                    written.append(piece)

        process = subprocess.Popen(
            [sys.executable, "-m", "clients.cli", "search", *args],
            env=self.environ | environ,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        reader = threading.Thread(target=read)
        reader.start()
        try:
            yield process, ours, written
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with its player, if that is left
            process.wait(30)
            reader.join(30)
            os.close(ours)

    def __call__(self, *args: str, typed: bytes = b"", **environ: str) -> Said:
        """To its end."""
        with self.start(*args, **environ) as (process, terminal, written):
            os.write(terminal, typed)
            code = process.wait(90)
        return Said(b"".join(written).decode().replace("\r\n", "\n"), code)

    def piped(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Without a terminal."""
        command = [sys.executable, "-m", "clients.cli", "search", *args]
        return subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=90, check=False)


@pytest.fixture
def shell(edge: Edge, tmp_path: Path) -> Shell:
    return Shell(edge, tmp_path)


def url(edge: Edge) -> str:
    """The address that was given, as it was given."""
    return edge.store.at + ADDRESS


@pytest.mark.parametrize(
    ("installed", "environ", "name", "arguments"),
    [
        (["vlc", "ffplay", "mpv"], {}, "mpv", ["--start=59.000", "--force-media-title=Một", "--", "URL"]),
        (["ffplay", "vlc", "cvlc"], {}, "ffplay", ["-nodisp", *FFPLAY, "URL"]),
        (["ffplay"], {"DISPLAY": ":0"}, "ffplay", [*FFPLAY, "URL"]),
        (["vlc", "cvlc"], {}, "cvlc", ["--play-and-exit", "--start-time=59.000", "--meta-title=Một", "URL"]),
        (
            ["vlc", "cvlc"],
            {"WAYLAND_DISPLAY": "wayland-0"},
            "vlc",
            ["--play-and-exit", "--start-time=59.000", "--meta-title=Một", "URL"],
        ),
    ],
)
def test_the_best_player_plays_from_three_seconds_before_the_hit(
    shell: Shell, edge: Edge, installed: Sequence[str], environ: dict[str, str], name: str, arguments: Sequence[str]
) -> None:
    shell.install(*installed)
    said = shell("xin", "--play", **environ)
    assert said.code == 0, said.text
    (played,) = shell.played()
    assert (played["name"], played["heard"]) == (name, "sound")
    assert played["arguments"] == [url(edge) if one == "URL" else one for one in arguments]
    assert f"It was said at 0:01:02 of 'Một' ({RECORDING_ID})." in said.text
    assert f"{name} plays from 0:00:59 on" in said.text
    assert ADDRESS not in said.text


def test_without_a_player_the_browser_plays_from_that_second_on(shell: Shell, edge: Edge) -> None:
    shell.install("surf")
    said = shell("xin", "--play", BROWSER="surf")
    assert said.code == 0, said.text
    (played,) = shell.played()
    assert (played["name"], played["arguments"]) == ("surf", [f"{url(edge)}#t=59"])
    assert "The browser plays from 0:00:59 on." in said.text


def test_without_anything_the_address_is_printed_whole(shell: Shell, edge: Edge) -> None:
    said = shell("xin", "--play")
    assert said.code == 0
    assert f"\n{url(edge)}#t=59\n" in said.text
    assert "it begins at 0:00:59" in said.text
    assert "install mpv, ffplay or vlc" in said.text


def test_without_a_terminal_nothing_is_opened(shell: Shell, edge: Edge) -> None:
    shell.install("mpv")
    result = shell.piped("xin", "--play")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == f"{url(edge)}#t=59"
    assert "Good until" in result.stderr
    assert not shell.played()


def test_for_scripts_the_last_line_says_where_to_hear_it(shell: Shell, edge: Edge) -> None:
    shell.install("mpv")
    result = shell.piped("xin", "--play", "--hit", "2", "--json")
    *found, last = [json.loads(line) for line in result.stdout.splitlines()]
    assert [hit["segment_id"] for hit in found] == ["0", "1", "2"]
    assert last == {
        "moment": {
            "recording_id": RECORDING_ID,
            "title": "Một",
            "segment_id": "1",
            "start_ms": 62_000,
            "end_ms": 63_000,
            "url": url(edge),
            "play_from_ms": 59_000,
            "content_type": "audio/wav",
            "expire_time": "2030-03-17T17:46:40Z",
        }
    }
    assert not shell.played()


@pytest.mark.parametrize("has_had_one", [True, False])
def test_for_scripts_too_a_recording_may_have_no_file(shell: Shell, edge: Edge, has_had_one: bool) -> None:
    if not has_had_one:
        edge.recordings.files.clear()
    edge.store.refusals = [errors.RecordingWithoutFile("it has expired")]
    result = shell.piped("xin", "--play", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["moment"]["url"] is None


def test_what_was_spoken_live_is_shown_and_not_asked_for(shell: Shell, edge: Edge) -> None:
    shell.install("mpv")
    edge.recordings.files.clear()
    said = shell("xin", "--play")
    assert said.code == 0
    assert "It was said live at 0:01:02 of 'Một'" in said.text
    assert (edge.store.given, shell.played()) == (0, [])


def test_a_file_that_has_expired_is_an_error_after_what_was_said_is_shown(shell: Shell, edge: Edge) -> None:
    shell.install("mpv")
    edge.store.refusals = [errors.RecordingWithoutFile("the recording's file is no longer there")]
    said = shell("xin", "--play")
    assert said.code == 1
    shown, _, complaint = said.text.partition("error: ")
    assert "It was said at 0:01:02" in shown
    assert "The recording's file is no longer there" in complaint


def test_a_hit_that_there_is_not(shell: Shell) -> None:
    said = shell("xin", "--play", "--hit", "4")
    assert said.code == 2
    assert "There is no hit 4." in said.text
    assert "There are 3." in said.text


def test_nothing_found_is_nothing_to_play(shell: Shell, edge: Edge) -> None:
    said = shell("nothing", "--play")
    assert (said.code, edge.store.given) == (0, 0)


def test_a_player_that_cannot_play_it_is_said_to_have_failed(shell: Shell) -> None:
    shell.install("mpv", then="sys.exit(2)")
    said = shell("xin", "--play")
    assert said.code == 1
    assert "mpv could not play it: it ended with 2." in said.text


def test_ctrl_c_ends_the_player_and_not_with_an_error(shell: Shell) -> None:
    shell.install("mpv", then="import time; print('playing', flush=True); [time.sleep(0.05) for _ in iter(int, 1)]")
    with shell.start("xin", "--play") as (process, _, written):
        wait_for(b"playing", written)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all that run in it
        assert process.wait(30) == 0, b"".join(written)
    assert b"could not play" not in b"".join(written)


def test_the_prompt_plays_one_hit_after_the_other(shell: Shell, edge: Edge) -> None:
    shell.install("mpv")
    said = shell("-i", typed=b"xin\n:open 1\n:play 2\n:play 9\n:quit\n")
    assert said.code == 0, said.text
    assert [played["arguments"][0] for played in shell.played()] == ["--start=59.000"]
    assert said.text.count("It was said at 0:01:02") == 2
    assert "9 is no hit's number." in said.text


def wait_for(text: bytes, written: list[bytes], within_s: float = 60) -> None:
    """Until it was written."""
    deadline = time.monotonic() + within_s
    while text not in b"".join(written):
        assert time.monotonic() < deadline, b"".join(written)
        time.sleep(0.02)
