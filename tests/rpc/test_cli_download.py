"""`ai2text recordings download` against real gRPC and real HTTP: whole files or none, whatever breaks off."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from clients.cli import downloads
from clients.cli.__main__ import app
from servers.common import errors
from tests.rpc.cli_download import Edge, serving
from tests.rpc.cli_edge import OTHER_ID, environment
from tests.rpc.cli_speech import RECORDING_ID

CONTENT = os.urandom(3_000_001)


@pytest.fixture
def edge() -> Iterator[Edge]:
    with serving(CONTENT) as running:
        yield running


class Shell:
    """Runs the command as a shell would, in a folder of its own."""

    def __init__(self, edge: Edge, home: Path) -> None:
        self.environ = environment(edge.address, home)

    def __call__(self, *args: object) -> Result:
        return CliRunner().invoke(app, ["recordings", "download", *map(str, args)], env=self.environ)

    def start(self, *args: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "clients.cli", "recordings", "download", *map(str, args)]
        environ = {**os.environ, **self.environ}
        return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def run(edge: Edge, tmp_path: Path) -> Shell:
    return Shell(edge, tmp_path / "home")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "LONGEST_PAUSE_S", 0.01)


def wait_until(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Until it holds; fails when the process ends before."""
    while not true():
        assert process.poll() is None
        time.sleep(0.02)


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def kept(folder: Path) -> Path:
    """What has come of a download that broke off."""
    (part,) = folder.glob(".ai2text-*.part")
    return part


def test_the_file_comes_back_under_its_title(run: Shell, folder: Path) -> None:
    result = run(RECORDING_ID[:8])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip() == "Một.wav"
    assert names(folder) == ["Một.wav"]
    assert (folder / "Một.wav").read_bytes() == CONTENT


def test_it_goes_where_it_is_told(run: Shell, folder: Path) -> None:
    (folder / "into").mkdir()
    record = json.loads(run(RECORDING_ID, "--to", "into", "--json").stdout)
    assert (record["file"], record["size_bytes"]) == ("into/Một.wav", len(CONTENT))
    assert run(RECORDING_ID, "--to", "other.wav").exit_code == 0
    assert (folder / "into" / "Một.wav").read_bytes() == (folder / "other.wav").read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["../../evil.wav", "/tmp/evil.wav", "..", "", ".bashrc"])
def test_a_server_does_not_say_in_which_folder(run: Shell, edge: Edge, folder: Path, name: str) -> None:
    edge.store.file_name = name
    assert run(RECORDING_ID).exit_code == 0
    assert names(folder) == ["evil.wav" if "evil" in name else RECORDING_ID]


def test_a_file_that_is_there_already_is_only_written_over_by_force(run: Shell, folder: Path) -> None:
    (folder / "Một.wav").write_bytes(b"mine")
    refused = run(RECORDING_ID)
    assert refused.exit_code == 1
    assert "There is a file Một.wav already." in refused.stderr
    assert "--force" in refused.stderr
    assert (folder / "Một.wav").read_bytes() == b"mine"
    assert run(RECORDING_ID, "--force").exit_code == 0
    assert (folder / "Một.wav").read_bytes() == CONTENT


def test_a_file_that_appears_meanwhile_is_not_written_over_either(run: Shell, edge: Edge, folder: Path) -> None:
    edge.store.hold.clear()
    with run.start(RECORDING_ID) as process:
        wait_until(lambda: bool(edge.store.ranges), process)
        (folder / "Một.wav").write_bytes(b"mine")
        edge.store.hold.set()
        _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "There is a file Một.wav already." in said
    assert (folder / "Một.wav").read_bytes() == b"mine"


def test_a_line_that_breaks_is_gone_on_with_at_another_address(run: Shell, edge: Edge, folder: Path) -> None:
    edge.store.cuts = [1_000_000, 500_000]
    result = run(RECORDING_ID)
    assert result.exit_code == 0, result.stderr
    begins = [int(asked.removeprefix("bytes=").rstrip("-")) for asked in edge.store.ranges]
    assert begins[0] < begins[1] <= 1_000_000, "what has come is not asked for again, but for what lay in a buffer"
    assert begins[1] < begins[2] <= 1_500_000
    assert edge.store.given == len(begins) == 3
    assert (folder / "Một.wav").read_bytes() == CONTENT


def test_an_address_that_has_expired_and_a_store_that_stumbles_are_asked_again(
    run: Shell, edge: Edge, folder: Path
) -> None:
    edge.store.statuses = [403, 503]
    assert run(RECORDING_ID).exit_code == 0
    assert (folder / "Một.wav").read_bytes() == CONTENT


def test_what_came_before_the_end_is_gone_on_with_when_it_is_asked_for_again(
    run: Shell, edge: Edge, folder: Path
) -> None:
    edge.store.hold.clear()
    with run.start(RECORDING_ID) as process:
        wait_until(lambda: any(part.stat().st_size > 250_000 for part in folder.glob(".ai2text-*.part")), process)
        process.kill()
        process.communicate(timeout=30)
    assert names(folder) == [kept(folder).name]
    came = kept(folder).stat().st_size
    assert CONTENT.startswith(kept(folder).read_bytes())
    edge.store.hold.set()
    assert run(RECORDING_ID).exit_code == 0
    assert edge.store.ranges[-1] == f"bytes={came}-"
    assert names(folder) == ["Một.wav"]
    assert (folder / "Một.wav").read_bytes() == CONTENT


def test_a_store_without_ranges_begins_anew(run: Shell, edge: Edge, folder: Path) -> None:
    edge.store.cuts, edge.store.whole = [1_000_000], True
    assert run(RECORDING_ID).exit_code == 0
    assert (folder / "Một.wav").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"\x00" + CONTENT[1:], "its SHA-256 is another"),
        (CONTENT + b"\x00", "more than the file"),
    ],
)
def test_other_bytes_never_become_the_file(run: Shell, edge: Edge, folder: Path, sent: bytes, said: str) -> None:
    edge.store.sent = sent
    result = run(RECORDING_ID)
    assert result.exit_code == 1
    assert said in result.stderr
    assert not (folder / "Một.wav").exists()
    edge.store.sent = None
    assert run(RECORDING_ID).exit_code == 0
    assert (folder / "Một.wav").read_bytes() == CONTENT


def test_a_store_that_never_gives_it_is_given_up(run: Shell, edge: Edge, folder: Path) -> None:
    edge.store.statuses = [503] * 100
    result = run(RECORDING_ID)
    assert result.exit_code == 1
    assert "The object store does not give the file: HTTP 503." in result.stderr
    assert "the same command goes on" in result.stderr
    assert not (folder / "Một.wav").exists()


def test_a_file_that_expires_meanwhile_is_said_to_have(run: Shell, edge: Edge, folder: Path) -> None:
    edge.store.cuts = [1_000_000]
    gone = errors.RecordingWithoutFile("the recording's file is no longer there", recording_id=RECORDING_ID)
    edge.store.hold.clear()
    with run.start(RECORDING_ID) as process:
        wait_until(lambda: bool(edge.store.ranges), process)
        edge.store.refusals = [gone]
        edge.store.hold.set()
        _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "The recording's file is no longer there" in said
    assert "RECORDING_WITHOUT_FILE" in said


def test_two_at_once_do_not_write_into_each_other(run: Shell, edge: Edge, folder: Path) -> None:
    edge.store.hold.clear()
    with run.start(RECORDING_ID) as process:
        wait_until(lambda: bool(edge.store.ranges), process)
        result = run(RECORDING_ID)
        assert result.exit_code == 1
        assert "is being downloaded to there at the moment" in result.stderr
        edge.store.hold.set()
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert (folder / "Một.wav").read_bytes() == CONTENT


def test_a_recording_without_a_file_and_one_that_is_not_there(run: Shell, edge: Edge, folder: Path) -> None:
    edge.store.refusals = [errors.RecordingWithoutFile("the recording was spoken live: it has no file")]
    result = run(RECORDING_ID)
    assert (result.exit_code, "The recording was spoken live: it has no file" in result.stderr) == (1, True)
    result = run(OTHER_ID)
    assert (result.exit_code, "RECORDING_NOT_FOUND" in result.stderr) == (1, True)
    assert names(folder) == []


@pytest.mark.parametrize("to", ["no/such/folder/a.wav", "/proc/a.wav"])
def test_a_place_that_cannot_be_written_to_is_said(run: Shell, folder: Path, to: str) -> None:
    result = run(RECORDING_ID, "--to", to)
    assert result.exit_code == 1
    assert "There is no folder no/such/folder." in result.stderr or "/proc/a.wav cannot be written" in result.stderr


def test_only_addresses_of_the_web_are_opened(run: Shell, edge: Edge, folder: Path) -> None:
    edge.store.scheme = "file:///etc/passwd"
    result = run(RECORDING_ID)
    assert (result.exit_code, "no address that can be opened" in result.stderr) == (1, True)
