"""What surrounds the command: readers that leave, terminals that lack letters, odd names, places that are not there."""

import json
import os
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from ai2text.asr.v1 import session_pb2
from typer.testing import CliRunner, Result

from clients.cli.__main__ import app
from tests.rpc.cli_edge import Edge, environment, serving


@pytest.fixture
def edge() -> Iterator[Edge]:
    with serving() as running:
        yield running


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A second of sound under a name that is no UTF-8."""
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(b"\x10\x00" * 16_000)
    return path


class Shell:
    """Runs the command in this process, or as one of its own."""

    def __init__(self, edge: Edge, home: Path) -> None:
        self._environ = environment(edge.address, home)

    def __call__(self, *args: str | Path) -> Result:
        return CliRunner().invoke(app, [str(arg) for arg in args], env=self._environ)

    def start(
        self, *args: str | Path, stdout: int | IO[bytes] = subprocess.PIPE, **environ: str
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "clients.cli", *args],
            env={**os.environ, **self._environ, **environ},
            stdout=stdout,
            stderr=subprocess.PIPE,
        )


@pytest.fixture
def shell(edge: Edge, tmp_path: Path) -> Shell:
    return Shell(edge, tmp_path / "home")


@pytest.mark.parametrize("unbuffered", ["", "1"])  # a short answer is in a buffer until the end, else
@pytest.mark.parametrize("command", ["search xin --json", "live CLIP --json", "--version", "--help"])
def test_a_reader_that_has_left_ends_the_command_without_a_word(
    shell: Shell, clip: Path, command: str, unbuffered: str
) -> None:
    args = [clip if word == "CLIP" else word for word in command.split()]
    with shell.start(*args, PYTHONUNBUFFERED=unbuffered) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read().decode() == ""
        assert process.wait(20) == 1


@pytest.mark.parametrize("command", ["search xin --json", "--version"])
def test_what_cannot_be_written_is_an_error(shell: Shell, command: str) -> None:
    with open("/dev/full", "wb") as full, shell.start(*command.split(), stdout=full, PYTHONUNBUFFERED="") as process:
        assert process.stderr is not None
        assert "could not be written: No space left on device." in process.stderr.read().decode()
        assert process.wait(20) == 1


def test_a_terminal_without_the_letters_gets_something_else(shell: Shell) -> None:
    out, complaints = shell.start("search", "xin", PYTHONIOENCODING="ascii").communicate(timeout=20)
    assert (out.count(rb"Xin ch\xe0o"), complaints) == (3, b"")


def test_a_file_whose_name_is_no_text_is_transcribed(edge: Edge, shell: Shell, clip: Path, tmp_path: Path) -> None:
    for args in (["--format", "json"], ["--format", "json", "--output", tmp_path / "out.json"]):
        result = shell("transcribe", clip, *args)
        assert result.exit_code == 0, result.stderr
    assert json.loads((tmp_path / "out.json").read_text())["file"] == "caf\ufffd.wav"
    assert {config.title for config in edge.speech.configs} == {"caf\ufffd"}


def test_where_a_transcript_cannot_go_is_said_before_anything_is_sent(
    edge: Edge, shell: Shell, clip: Path, tmp_path: Path
) -> None:
    nowhere = shell("transcribe", clip, "--output", tmp_path / "no" / "such.txt")
    assert (nowhere.exit_code, f"There is no folder {tmp_path / 'no'}." in nowhere.stderr) == (1, True)
    (tmp_path / "file").write_text("")
    other = tmp_path / "b.wav"
    other.write_bytes(clip.read_bytes())
    no_folder = shell("transcribe", clip, other, "--output", tmp_path / "file")
    assert (no_folder.exit_code, "cannot be made a folder: File exists." in no_folder.stderr) == (1, True)
    assert edge.speech.configs == []


def test_capabilities_leave_nothing_out_that_a_session_can_tune(shell: Shell) -> None:
    told = json.loads(shell("capabilities", "--json").stdout)
    fields = session_pb2.Endpointing.DESCRIPTOR.fields
    assert {f"{each.name}_ms" if each.message_type else each.name for each in fields} <= told.keys()
