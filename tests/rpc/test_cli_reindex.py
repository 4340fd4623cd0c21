"""`ai2text reindex` against real gRPC on a real port: what is asked, what is printed, how it exits."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ai2text.metadata.v1 import retelling_service_pb2, retelling_service_pb2_grpc
from typer.testing import CliRunner

from clients.cli.__main__ import app
from servers.common import errors
from tests.rpc.cli_edge import abort, environment, listening

ID = "3b99e991-0000-4000-8000-000000000001"


@dataclass
class Teller(retelling_service_pb2_grpc.RetellingServiceServicer):
    """Tells in three steps, of which the second finds its readers busy. What it was asked is kept."""

    asked: list[Any] = field(default_factory=list)
    fails_at: str = "never"
    """The token at which the scope is missing."""

    def RetellRecordings(self, request: Any, context: Any) -> Any:
        self.asked.append(request)
        if request.page_token == self.fails_at:
            abort(context, errors.ScopeMissing("the token lacks the scope 'admin'", scope="admin"))
        answers = {
            "": {"recording_count": 1000, "segment_count": 3, "deleted_count": 1, "next_page_token": "t1"},
            "t1": {"waiting_count": 77, "next_page_token": "t2"},
            "t2": {"recording_count": 200, "segment_count": 4},
        }
        return retelling_service_pb2.RetellRecordingsResponse(tenant="ac[m]e", **answers[request.page_token])


@dataclass
class Edge:
    teller: Teller
    address: str


@pytest.fixture
def edge() -> Iterator[Edge]:
    teller = Teller()
    with listening(partial(retelling_service_pb2_grpc.add_RetellingServiceServicer_to_server, teller)) as (port, _):
        yield Edge(teller, f"http://127.0.0.1:{port}")


@pytest.fixture
def shell(edge: Edge, tmp_path: Path) -> Callable[..., Any]:
    environ = environment(edge.address, tmp_path)
    return lambda *args: CliRunner().invoke(app, ["reindex", *args], env=environ)


def test_it_goes_on_until_all_is_told(shell: Callable[..., Any], edge: Edge) -> None:
    result = shell()
    assert result.exit_code == 0
    assert result.stdout == "Told again: 7 segments of 1,200 recordings, and of 1 that are deleted.\n"
    assert [asked.page_token for asked in edge.teller.asked] == ["", "t1", "t2"]
    assert {(asked.tenant, asked.recording_id) for asked in edge.teller.asked} == {("", "")}
    assert "3 segments of 1,000 recordings" in result.stderr
    assert "ac[m]e · 77 wait" in result.stderr


def test_what_is_meant_is_asked_for_from_where_it_was_broken_off(shell: Callable[..., Any], edge: Edge) -> None:
    result = shell("--tenant", "acme", "--recording", ID, "--from", "t2")
    assert result.stdout == "Told again: 4 segments of 200 recordings.\n"
    (asked,) = edge.teller.asked
    assert (asked.tenant, asked.recording_id, asked.page_token) == ("acme", ID, "t2")


def test_json_says_how_much(shell: Callable[..., Any]) -> None:
    result = shell("--json")
    assert json.loads(result.stdout) == {"recordings": 1200, "segments": 7, "deleted": 1}
    assert result.stderr == ""


def test_a_recording_is_somebodys(shell: Callable[..., Any], edge: Edge) -> None:
    result = shell("--recording", ID)
    assert result.exit_code == 2
    assert "--tenant" in result.stderr
    assert edge.teller.asked == []


def test_where_it_broke_off_it_says_how_to_go_on(shell: Callable[..., Any], edge: Edge) -> None:
    edge.teller.fails_at = "t2"
    result = shell()
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "It goes on with --from t2" in result.stderr
    assert "admin" in result.stderr


def test_what_is_refused_at_once_has_no_place_to_go_on_from(shell: Callable[..., Any], edge: Edge) -> None:
    edge.teller.fails_at = ""
    result = shell()
    assert result.exit_code == 1
    assert "--from" not in result.stderr
