"""`ai2text jobs` against real gRPC on a real port: what is sent, what is printed, how it exits."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from clients.cli.__main__ import app
from clients.cli.jobs import PREFIX, age
from tests.rpc.cli_edge import OTHER_ID, RECORDING_ID, environment
from tests.rpc.cli_jobs import CANCELLED, FAILED, QUEUED, RUNNING, SUCCEEDED, JobsEdge, name, operation, serving

Shell = Callable[..., Result]


@pytest.fixture
def edge() -> Iterator[JobsEdge]:
    with serving() as running:
        yield running


@pytest.fixture
def shell(edge: JobsEdge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setattr("clients.cli.job_bars.LOOK_S", 0.01)
    environ = environment(edge.address, tmp_path / "home")
    return lambda *args: CliRunner().invoke(app, list(args), env=environ)


def records(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_jobs_are_listed_with_state_progress_title_and_age(edge: JobsEdge, shell: Shell) -> None:
    edge.operations.put(operation(1, RUNNING, percent=40))
    edge.operations.put(operation(2, SUCCEEDED, percent=100, recording_id=OTHER_ID))
    edge.operations.put(operation(3, FAILED, SUCCEEDED, percent=100, recording_id="gone"))
    result = shell("jobs")
    assert result.exit_code == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines()[1:]]
    assert [row[1:5] for row in rows[:2]] == [["running", "40", "%", "Một"], ["done", "100", "%", "Hai"]]
    assert "partly done" in result.stdout
    assert "(deleted) and 1 more" in result.stdout
    assert name(1).removeprefix("operations/") in result.stdout
    assert rows[0][-1] == "s"


def test_without_jobs_it_is_said_how_to_make_one(shell: Shell) -> None:
    result = shell("jobs")
    assert result.exit_code == 0
    assert "ai2text upload" in result.stdout


def test_only_so_many_are_listed_over_several_pages(edge: JobsEdge, shell: Shell) -> None:
    for number in range(1, 7):
        edge.operations.put(operation(number, QUEUED))
    assert [one["job_id"][:8] for one in records(shell("jobs", "--limit", "5", "--json"))] == [
        f"{number:08}" for number in range(1, 6)
    ]


def test_json_has_everything(edge: JobsEdge, shell: Shell) -> None:
    edge.operations.put(operation(1, FAILED))
    (found,) = records(shell("jobs", "--json"))
    assert (found["state"], found["title"], found["error"]) == ("failed", "Một", "no audio")
    assert found["files"][0]["recording_id"] == RECORDING_ID
    assert found["files"][0]["error"] == "no audio"


def test_watch_waits_until_all_are_done(edge: JobsEdge, shell: Shell) -> None:
    edge.operations.put(operation(1, QUEUED), operation(1, RUNNING, percent=50), operation(1, SUCCEEDED, percent=100))
    edge.operations.put(operation(2, RUNNING), operation(2, RUNNING), operation(2, SUCCEEDED))
    result = shell("jobs", "--watch")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("done        Một") == 2
    assert "2 of 2 done" in result.stderr


def test_watch_prints_for_scripts_what_became_of_each(edge: JobsEdge, shell: Shell) -> None:
    edge.operations.put(operation(1, RUNNING), operation(1, FAILED))
    edge.operations.put(operation(2, RUNNING), operation(2, SUCCEEDED))
    result = shell("jobs", "--watch", "--json")
    assert result.exit_code == 1
    assert {job["job_id"]: job["state"] for job in records(result)} == {
        name(1).removeprefix(PREFIX): "failed",
        name(2).removeprefix(PREFIX): "done",
    }


def test_watch_tells_by_its_exit_code_that_one_failed(edge: JobsEdge, shell: Shell) -> None:
    edge.operations.put(operation(1, RUNNING), operation(1, FAILED))
    edge.operations.put(operation(2, RUNNING), operation(2, SUCCEEDED))
    result = shell("jobs", "--watch")
    assert result.exit_code == 1
    assert "failed      Một: no audio" in result.stderr
    assert "1 of 2 done" in result.stderr


def test_watch_ends_when_there_is_nothing_to_watch(edge: JobsEdge, shell: Shell) -> None:
    edge.operations.put(operation(1, FAILED))
    result = shell("jobs", "--watch")
    assert (result.exit_code, result.stderr.strip()) == (0, "Nothing is being transcribed.")


def test_show_has_every_file(edge: JobsEdge, shell: Shell) -> None:
    edge.operations.put(operation(1, FAILED, RUNNING, percent=7))
    result = shell("jobs", "show", "00000001")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count(RECORDING_ID) == 2
    assert "no audio" in result.stdout
    assert "running, 7 %" in result.stdout
    assert json.loads(shell("jobs", "show", name(1), "--json").stdout)["progress_percent"] == 7


@pytest.mark.parametrize(("state", "code"), [(SUCCEEDED, 0), (FAILED, 1), (CANCELLED, 1)])
def test_wait_tells_the_outcome_by_its_exit_code(edge: JobsEdge, shell: Shell, state: int, code: int) -> None:
    edge.operations.put(operation(1, QUEUED), operation(1, RUNNING), operation(1, state))
    assert shell("jobs", "wait", "0000").exit_code == code


def test_cancel(edge: JobsEdge, shell: Shell) -> None:
    edge.operations.put(operation(1, RUNNING))
    result = shell("jobs", "cancel", "00000001")
    assert (result.exit_code, result.stdout.split()[1]) == (0, "cancelled")
    assert edge.operations.cancelled == [name(1)]


def test_retry_asks_for_new_transcripts(edge: JobsEdge, shell: Shell) -> None:
    result = shell("jobs", "retry", RECORDING_ID, OTHER_ID, "--language", "vi")
    assert result.exit_code == 0, result.stderr
    (request,) = edge.operations.requests
    assert (list(request.recording_ids), request.language_code) == ([RECORDING_ID, OTHER_ID], "vi")
    assert len(request.request_id) == 36
    assert result.stdout.strip() == name(9).removeprefix("operations/")
    (found,) = records(shell("jobs", "retry", RECORDING_ID, "--json"))
    assert found["state"] == "queued"


@pytest.mark.parametrize("command", ["show", "wait", "cancel"])
def test_a_job_that_is_not_there(edge: JobsEdge, shell: Shell, command: str) -> None:
    edge.operations.put(operation(10, QUEUED))
    edge.operations.put(operation(11, QUEUED))
    unknown = shell("jobs", command, "ffff")
    assert unknown.exit_code == 1
    assert "No job's id begins with 'ffff'" in unknown.stderr
    several = shell("jobs", command, "0000001")
    assert several.exit_code == 1
    assert "2 jobs' ids begin with" in several.stderr


def test_a_whole_id_that_is_unknown_is_the_servers_to_refuse(shell: Shell) -> None:
    result = shell("jobs", "show", "operations/77777777-0000-4000-8000-000000000000")
    assert result.exit_code == 1
    assert "OPERATION_NOT_FOUND" in result.stderr


@pytest.mark.parametrize(
    ("seconds", "expected"), [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (7300, "2 h"), (200_000, "2 d")]
)
def test_ages_are_short(seconds: int, expected: str) -> None:
    now = datetime.now(UTC)
    assert age(now - timedelta(seconds=seconds), now) == expected
