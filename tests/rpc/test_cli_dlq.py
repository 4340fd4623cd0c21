"""`ai2text dlq` against real gRPC on a real port: what is sent, what is printed, how it exits."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer
from ai2text.admin.v1 import dead_letter_service_pb2, dead_letter_service_pb2_grpc
from typer.testing import CliRunner

from clients.cli.__main__ import app
from servers.common import errors
from tests.rpc.cli_edge import abort, environment, listening

IDS = ("1-0123456789ab", "2-0123456789ab", "3-0123456789ab")


def letter(letter_id: str, **fields: Any) -> dead_letter_service_pb2.DeadLetter:
    made = dead_letter_service_pb2.DeadLetter(
        dead_letter_id=letter_id,
        subject="transcript.finalized",
        consumer="embeddings",
        reason="FieldInvalid: text is [empty]",
        tries=77,
        tenant="acme",
        payload_bytes=3,
    )
    made.MergeFrom(dead_letter_service_pb2.DeadLetter(**fields))
    made.bury_time.FromSeconds(1_795_000_000)
    return made


@dataclass
class Admin(dead_letter_service_pb2_grpc.DeadLetterServiceServicer):
    """Some letters, by default three, one a page; the last is no event. What it was asked is kept."""

    asked: list[Any] = field(default_factory=list)
    ids: tuple[str, ...] = IDS
    a_page: int = 1
    orphaned: int = 0
    empty: bool = False

    @property
    def named(self) -> list[list[str]]:
        """The ids of each call that replays or discards."""
        return [list(asked.selection.dead_letter_ids) for asked in self.asked if hasattr(asked, "selection")]

    def ListDeadLetters(self, request: Any, context: Any) -> Any:
        self.asked.append(request)
        at = int(request.page_token or 0)
        if self.empty:
            return dead_letter_service_pb2.ListDeadLettersResponse()
        return dead_letter_service_pb2.ListDeadLettersResponse(
            dead_letters=[letter(one) for one in self.ids[at : at + self.a_page]],
            next_page_token=str(at + self.a_page) if at + self.a_page < len(self.ids) else "",
            total_count=len(self.ids),
        )

    def GetDeadLetter(self, request: Any, context: Any) -> Any:
        if request.dead_letter_id not in IDS:
            abort(context, errors.DeadLetterNotFound("no such dead letter", dead_letter_id=request.dead_letter_id))
        event = "" if request.dead_letter_id == IDS[2] else '{"tenant": "acme", "text": "Hà Nội"}'
        return dead_letter_service_pb2.GetDeadLetterResponse(
            dead_letter=letter(request.dead_letter_id), payload=b"\xff\x00x", event_json=event
        )

    def ReplayDeadLetters(self, request: Any, context: Any) -> Any:
        self.asked.append(request)
        return dead_letter_service_pb2.ReplayDeadLettersResponse(
            replayed_count=len(request.selection.dead_letter_ids) - self.orphaned, orphaned_count=self.orphaned
        )

    def DiscardDeadLetters(self, request: Any, context: Any) -> Any:
        self.asked.append(request)
        return dead_letter_service_pb2.DiscardDeadLettersResponse(
            discarded_count=len(request.selection.dead_letter_ids)
        )


@dataclass
class Edge:
    admin: Admin
    address: str


@pytest.fixture
def edge() -> Iterator[Edge]:
    admin = Admin()
    with listening(partial(dead_letter_service_pb2_grpc.add_DeadLetterServiceServicer_to_server, admin)) as (port, _):
        yield Edge(admin, f"http://127.0.0.1:{port}")


@pytest.fixture
def shell(edge: Edge, tmp_path: Path) -> Callable[..., Any]:
    environ = environment(edge.address, tmp_path)
    return lambda *args, answer="": CliRunner().invoke(app, ["dlq", *args], env=environ, input=answer)


def test_list_shows_every_page_as_a_table(shell: Callable[..., Any], edge: Edge) -> None:
    result = shell("list", "--consumer", "embeddings", "--subject", "transcript.finalized", "--tenant", "acme")
    assert (result.exit_code, result.stderr) == (0, "")
    for word in (*IDS, "transcript.finalized", "embeddings", "acme", "77", "FieldInvalid: text is [empty]"):
        assert word in result.stdout
    asked = edge.admin.asked[0]
    assert (asked.consumer, asked.subject, asked.tenant) == ("embeddings", "transcript.finalized", "acme")


def test_list_stops_at_the_limit_and_says_how_many_there_are(shell: Callable[..., Any]) -> None:
    result = shell("list", "--limit", "2")
    assert [letter_id in result.stdout for letter_id in IDS] == [True, True, False]
    assert "2 of 3" in result.stderr


def test_list_json_is_one_object_a_line(shell: Callable[..., Any]) -> None:
    objects = [json.loads(line) for line in shell("list", "--json").stdout.splitlines()]
    assert [one["dead_letter_id"] for one in objects] == list(IDS)
    assert objects[0]["bury_time"] == "2026-11-18T11:06:40Z"
    assert (objects[0]["tries"], objects[0]["reason"]) == (77, "FieldInvalid: text is [empty]")


def test_an_empty_list_is_said_in_words(shell: Callable[..., Any], edge: Edge) -> None:
    edge.admin.empty = True
    assert shell("list").stdout == "Nothing was given up.\n"


def test_show_prints_the_event_or_that_there_is_none(shell: Callable[..., Any]) -> None:
    result = shell("show", IDS[0])
    assert '"text": "Hà Nội"' in result.stdout
    assert "FieldInvalid: text is [empty]" in result.stdout
    assert json.loads(shell("show", IDS[0], "--json").stdout)["event"] == {"tenant": "acme", "text": "Hà Nội"}
    assert r"no event: b'\xff\x00x'" in shell("show", IDS[2]).stdout
    document = json.loads(shell("show", IDS[2], "--json").stdout)
    assert (document["event"], document["payload_base64"]) == (None, "/wB4")


def test_show_of_a_letter_that_is_gone_is_an_error(shell: Callable[..., Any]) -> None:
    result = shell("show", "9-0123456789ab")
    assert result.exit_code == 1
    assert "No such dead letter (NOT_FOUND, DEAD_LETTER_NOT_FOUND)" in result.stderr
    assert "ai2text dlq list" in result.stderr


def test_replay_of_some_and_of_all_that_pass(shell: Callable[..., Any], edge: Edge) -> None:
    result = shell("replay", *IDS[:2])
    assert (result.exit_code, result.stdout, result.stderr) == (0, "2 replayed\n", "")
    assert edge.admin.named == [list(IDS[:2])]
    edge.admin.orphaned = 1
    result = shell("replay", "--all", "--tenant", "acme")
    assert "1 stay" in result.stderr
    selection = edge.admin.asked[-1].selection
    assert (list(selection.dead_letter_ids), selection.tenant) == (list(IDS), "acme")
    assert json.loads(shell("replay", "--all", "--json").stdout) == {"replayed": 2, "orphaned": 1}


@pytest.mark.parametrize("command", ["replay", "discard"])
@pytest.mark.parametrize("arguments", [(), ("--tenant", "acme"), (IDS[0], "--all")])
def test_without_ids_all_has_to_be_said(
    shell: Callable[..., Any], edge: Edge, command: str, arguments: tuple[str, ...]
) -> None:
    result = shell(command, *arguments)
    assert result.exit_code == 2
    assert "--all" in result.stderr
    assert not edge.admin.asked


def test_discard_asks_with_the_number_that_is_meant(shell: Callable[..., Any], edge: Edge) -> None:
    result = shell("discard", "--all", answer="n\n")
    assert "Remove 3 for good?" in result.stderr
    assert "nothing was removed" in result.stderr
    assert not edge.admin.named
    result = shell("discard", IDS[1], answer="y\n")
    assert "Remove 1 for good?" in result.stderr
    assert "1 discarded" in result.stdout
    assert edge.admin.named == [[IDS[1]]]


def test_discard_with_yes_does_not_ask(shell: Callable[..., Any], edge: Edge) -> None:
    assert json.loads(shell("discard", "--all", "--yes", "--json").stdout) == {"discarded": 3}
    assert edge.admin.named == [list(IDS)]


def test_what_is_buried_while_the_question_stands_is_not_discarded(
    shell: Callable[..., Any], edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def confirm(*_: Any, **__: Any) -> bool:
        edge.admin.ids = (*IDS, "4-0123456789ab")
        return True

    monkeypatch.setattr(typer, "confirm", confirm)
    assert shell("discard", "--all").stdout == "3 discarded\n"
    assert edge.admin.named == [list(IDS)]


@pytest.mark.parametrize("command", [("replay",), ("discard", "--yes")])
def test_many_are_named_a_thousand_at_a_time(shell: Callable[..., Any], edge: Edge, command: tuple[str, ...]) -> None:
    edge.admin.ids = tuple(f"{number}-0123456789ab" for number in range(2100))
    edge.admin.a_page = 200
    assert shell(*command, "--all").stdout.startswith("2100 ")
    assert [len(ids) for ids in edge.admin.named] == [1000, 1000, 100]
    assert tuple(one for ids in edge.admin.named for one in ids) == edge.admin.ids


@pytest.mark.parametrize("command", [("replay",), ("discard", "--yes"), ("discard",)])
def test_where_there_are_none_nothing_is_sent_since_no_names_would_mean_all(
    shell: Callable[..., Any], edge: Edge, command: tuple[str, ...]
) -> None:
    edge.admin.empty = True
    assert shell(*command, "--all").exit_code == 0
    assert not edge.admin.named
