"""`ai2text upload` against real gRPC and real HTTP: what is sent, what is printed, how it exits."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import pytest
from typer.testing import CliRunner, Result

from clients.cli import media_files
from clients.cli.__main__ import app
from servers.common import errors
from tests.rpc.cli_edge import environment
from tests.rpc.cli_upload import PART_BYTES, Edge, serving


@pytest.fixture
def edge() -> Iterator[Edge]:
    with serving() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files of sound, one of them deep inside; one that is none, and a hidden one."""
    root = tmp_path / "recordings"
    (root / "deep").mkdir(parents=True)
    for name in ("một.wav", "hai.MP3", "deep/ba.mkv", "notes.txt", ".hidden.wav"):
        (root / name).write_bytes(name.encode() * 100)
    return root


class Shell:
    """Runs the command as a shell would, in a world without a mesh of its own."""

    def __init__(self, edge: Edge, home: Path) -> None:
        self.environ = environment(edge.address, home)

    def __call__(self, *args: object, **environ: str) -> Result:
        return CliRunner().invoke(app, ["upload", *map(str, args)], env={**self.environ, **environ})


@pytest.fixture
def run(edge: Edge, tmp_path: Path) -> Shell:
    return Shell(edge, tmp_path / "home")


def names(edge: Edge) -> set[str]:
    return {file.title for file, _ in edge.ingestion.files.values()}


def sparse(path: Path, size: int) -> Path:
    """A large file that takes no room."""
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(PART_BYTES - 2)
        file.write(b"border")
    return path


def test_a_folder_is_uploaded_with_all_that_is_sound_or_video_in_it(run: Shell, edge: Edge, folder: Path) -> None:
    result = run(folder, "--language", "vi", "--label", "project=atlas", "--label", "by=lan")
    assert result.exit_code == 0, result.stderr
    assert names(edge) == {"một", "hai", "ba"}
    assert "3 files are stored" in result.stdout
    assert "ai2text jobs --watch" in result.stderr
    for file, content in edge.ingestion.files.values():
        assert file.language_code == "vi"
        assert dict(file.labels) == {"project": "atlas", "by": "lan"}
        assert (file.size_bytes, file.sha256) == (len(content), hashlib.sha256(content).digest())
        assert file.crc32c == google_crc32c.value(content)


def test_all_takes_every_file_but_hidden_ones(run: Shell, edge: Edge, folder: Path) -> None:
    assert run(folder, "--all").exit_code == 0
    assert names(edge) == {"một", "hai", "ba", "notes"}


def test_a_file_that_is_named_is_taken_whatever_its_ending(run: Shell, edge: Edge, folder: Path) -> None:
    assert run(folder / "notes.txt", folder / "notes.txt").exit_code == 0
    assert edge.ingestion.calls == 1


def test_a_command_that_is_repeated_sends_the_same_request_ids_unless_again_is_asked_for(
    run: Shell, edge: Edge, folder: Path
) -> None:
    run(folder)
    first = set(edge.ingestion.files)
    run(folder)
    assert set(edge.ingestion.files) == first
    run(folder, "--again")
    assert len(edge.ingestion.files) == 6


def test_a_name_that_is_no_text_is_no_obstacle(run: Shell, edge: Edge, folder: Path) -> None:
    (folder / os.fsdecode(b"caf\xe9.wav")).write_bytes(b"sound")  # as older systems have written it
    for args in ([folder], [folder, "--json"]):
        result = run(*args)
        assert result.exit_code == 0, result.stderr
    assert names(edge) == {"một", "hai", "ba", "caf\ufffd"}


def test_the_same_bytes_under_another_name_are_another_recording(run: Shell, edge: Edge, tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"same")
    run(tmp_path / "a.wav", tmp_path / "b.wav")
    assert names(edge) == {"a", "b"}


def test_four_files_are_in_work_at_a_time(run: Shell, edge: Edge, tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}.wav").write_bytes(b"x" * (number + 1))
    assert run(tmp_path).exit_code == 0
    assert 1 < edge.ingestion.most_at_once <= 4
    assert len(edge.ingestion.files) == 12


def test_one_that_fails_does_not_keep_the_others_and_is_listed_in_the_end(run: Shell, edge: Edge, folder: Path) -> None:
    edge.ingestion.refusals = [errors.AudioUndecodable("the file has no audio in it, only video")]
    (folder / "empty.wav").touch()
    result = run(folder, COLUMNS="200")
    assert result.exit_code == 1
    assert "2 files are stored" in result.stdout
    assert "2 failed" in result.stderr
    assert "no audio in it, only video" in result.stderr
    assert "empty.wav is empty" in result.stderr


def test_json_has_a_line_for_each_file(run: Shell, edge: Edge, folder: Path) -> None:
    edge.ingestion.refusals = [errors.AlreadyExists("taken")]
    result = run(folder, "--json")
    assert result.exit_code == 1
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) == 3
    stored = [line for line in lines if "recording_id" in line]
    assert {line["title"] for line in stored} < {"một", "hai", "ba"}
    assert all(line["operation"].startswith("operations/") and line["size_bytes"] for line in stored)
    assert [line["reason"] for line in lines if "error" in line] == ["ALREADY_EXISTS"]


def test_a_taken_request_is_explained(run: Shell, edge: Edge, folder: Path) -> None:
    edge.ingestion.refusals = [errors.AlreadyExists("taken")]
    assert "--again" in run(folder).stderr


@pytest.mark.parametrize(
    "error", [errors.DependencyUnavailable("objects"), errors.Overloaded("full"), errors.Draining("")]
)
def test_a_server_that_says_when_it_will_be_back_is_asked_again(
    run: Shell, edge: Edge, folder: Path, error: errors.Ai2TextError
) -> None:
    error.retry_after_s = 0.05
    edge.ingestion.refusals = [error, error]
    assert run(folder / "một.wav").exit_code == 0
    assert edge.ingestion.calls == 3


def test_a_large_file_goes_in_parts_and_those_that_fail_are_sent_again(run: Shell, edge: Edge, tmp_path: Path) -> None:
    path = sparse(tmp_path / "large.mkv", 70 << 20)
    edge.ingestion.refused_parts = [2]
    assert run(path).exit_code == 0
    assert sorted(edge.ingestion.puts) in ([1, 2, 2, 3], [1, 2, 2, 3, 3], [1, 1, 2, 2, 3], [1, 1, 2, 2, 3, 3])
    [(file, content)] = edge.ingestion.files.values()
    assert (len(content), hashlib.sha256(content).digest()) == (70 << 20, file.sha256)


def test_a_large_file_goes_on_where_it_broke_off(run: Shell, edge: Edge, tmp_path: Path) -> None:
    path = sparse(tmp_path / "large.mkv", 70 << 20)
    content = path.read_bytes()
    edge.ingestion.parts = {1: content[:PART_BYTES], 3: content[2 * PART_BYTES :]}
    assert run(path).exit_code == 0
    assert edge.ingestion.puts == [2]


def test_an_upload_that_the_server_finds_incomplete_goes_on(run: Shell, edge: Edge, tmp_path: Path) -> None:
    edge.ingestion.refusals = [errors.UploadIncomplete("parts are missing", missing_parts="1")]
    assert run(sparse(tmp_path / "large.mkv", 70 << 20)).exit_code == 0


def test_a_large_file_whose_end_takes_too_long_is_asked_for_again(run: Shell, edge: Edge, tmp_path: Path) -> None:
    edge.ingestion.refusals = [errors.StreamIdle("no answer in time")]
    assert run(sparse(tmp_path / "large.mkv", 70 << 20)).exit_code == 0
    assert sorted(edge.ingestion.puts) == [1, 2, 3]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.write_bytes(b"short"), "has become shorter while it was uploaded"),
        (lambda path: path.unlink(), "cannot be read any more: No such file"),
    ],
)
@pytest.mark.parametrize("size", [1000, 70 << 20])
def test_a_file_that_shrinks_or_vanishes_meanwhile_fails_alone(
    run: Shell,
    edge: Edge,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    change: Callable[[Path], object],
    words: str,
) -> None:
    (folder / "một.wav").unlink()
    changing = sparse(folder / "một.wav", size)
    real = media_files.fingerprint

    def fingerprint(path: Path) -> media_files.Fingerprint:
        found = real(path)
        if path == changing:
            change(path)
        return found

    monkeypatch.setattr(media_files, "fingerprint", fingerprint)
    result = run(folder, COLUMNS="300")
    assert result.exit_code == 1
    assert "2 files are stored" in result.stdout
    assert "1 failed" in result.stderr
    assert words in result.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nowhere.wav"], "no file or folder"),
        (["FOLDER", "--title", "One"], "One title for 3 files"),
        (["FOLDER", "--label", "nothing"], "is no label"),
        (["EMPTY"], "no sound or video"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_sent(
    run: Shell, edge: Edge, folder: Path, tmp_path: Path, args: list[str], words: str
) -> None:
    (tmp_path / "void").mkdir()
    places: dict[str, Any] = {"FOLDER": folder, "EMPTY": tmp_path / "void"}
    result = run(*(places.get(arg, arg) for arg in args))
    assert result.exit_code in (1, 2)
    assert words in result.stderr
    assert not edge.ingestion.calls


def test_a_token_that_is_not_accepted_fails_each_file(run: Shell, folder: Path) -> None:
    result = run(folder, "--token", "wrong", COLUMNS="200")
    assert result.exit_code == 1
    assert "3 failed" in result.stderr
