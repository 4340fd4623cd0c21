"""How many servers of live speech a mesh runs, and what each is told of the model that they share."""

from pathlib import Path

import pytest

from mesh import replicas
from mesh.edge import Edge
from mesh.home import Home
from mesh.parts import parts, share_of_model
from mesh.ports import Ports


def test_two_of_the_stable_version_and_the_next_unless_told_otherwise() -> None:
    usual = {"asr-1": "stable", "asr-2": "stable", "asr-canary": "canary"}
    assert replicas.asr({}) == replicas.asr({"AI2TEXT_ASR_REPLICAS": ""}) == usual
    assert list(replicas.asr({"AI2TEXT_ASR_REPLICAS": "4"})) == ["asr-1", "asr-2", "asr-3", "asr-4", "asr-canary"]


@pytest.mark.parametrize("number", ["1", "9", "-2", "two", "²"])
def test_a_number_that_cannot_be_is_refused_in_words(number: str) -> None:
    with pytest.raises(ValueError, match="AI2TEXT_ASR_REPLICAS must be a number from 2 to 8"):
        replicas.asr({"AI2TEXT_ASR_REPLICAS": number})


def test_each_replica_has_ports_of_its_own_and_the_edge_knows_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AI2TEXT_ASR_REPLICAS", "8")
    home, ports = Home(tmp_path, tmp_path / "models"), Ports.from_base(9000)
    running = [part for part in parts(ports, home) if part.command[1:] == ["-m", "servers.asr"]]
    assert [part.name for part in running] == [*(f"asr-{number}" for number in range(1, 9)), "asr-canary"]
    claimed = [name for part in parts(ports, home) for name in part.ports]
    assert sorted([*claimed, "supervisor", "web"]) == sorted(ports.names())
    stable = [part.env["AI2TEXT_LISTEN"] for part in running if part.env["AI2TEXT_VERSION"] == "stable"]
    assert [f"{each.host}:{each.port}" for each in Edge.local(ports, home).asr_stable] == stable


def test_the_model_is_shared_by_all() -> None:
    assert share_of_model({}) == {"AI2TEXT_MAX_BUSY": "0.45"}
    assert share_of_model({"AI2TEXT_ASR_REPLICAS": "6", "AI2TEXT_WHISPER_INSTANCES": "3"}) == {
        "AI2TEXT_MAX_BUSY": "0.15", "AI2TEXT_MODEL_INSTANCES": "3"
    }  # fmt: skip


def test_on_a_gpu_a_session_needs_less_of_it_and_more_is_done_at_once() -> None:
    on_gpu = share_of_model({"AI2TEXT_WHISPER_DEVICE": "cuda"})
    assert (on_gpu["AI2TEXT_MODEL_INSTANCES"], on_gpu["AI2TEXT_SESSION_BUSY"]) == ("4", "0.002")


def test_what_the_user_says_stands() -> None:
    said = {"AI2TEXT_MAX_BUSY": "0.3", "AI2TEXT_SESSION_BUSY": "0.01", "AI2TEXT_MODEL_INSTANCES": "2"}
    assert share_of_model(said | {"AI2TEXT_WHISPER_DEVICE": "cuda"}) == {}
