"""The weight of the canary, and how much is traced: where it comes from, what is said when it is of no use."""

from pathlib import Path

import pytest
from rich.console import Console

from mesh import canary, edge, runtime
from mesh.home import Home
from mesh.lifecycle import Mesh, MeshError
from tests.free_ports import free_ports


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home.from_env({"AI2TEXT_HOME": str(tmp_path)})
    home.create()
    return home


@pytest.mark.parametrize(("environ", "weight"), [({}, 10), ({"AI2TEXT_CANARY_WEIGHT": "0"}, 0)])
def test_the_environment_says_with_which_weight_the_edge_starts(
    home: Home, environ: dict[str, str], weight: int
) -> None:
    assert canary.weight(home, environ) == weight


def test_what_was_told_stands_above_the_environment_until_it_is_forgotten(home: Home) -> None:
    (home.run / "canary_weight").write_text("25")
    assert canary.weight(home, {"AI2TEXT_CANARY_WEIGHT": "50"}) == 25
    canary.forget(home)
    canary.forget(home)
    assert canary.weight(home, {"AI2TEXT_CANARY_WEIGHT": "50"}) == 50


@pytest.mark.parametrize("weight", ["101", "-1", "2.5", "half"])
def test_a_useless_weight_is_refused_in_words(home: Home, weight: str) -> None:
    with pytest.raises(ValueError, match=f"AI2TEXT_CANARY_WEIGHT .* not '{weight}'"):
        canary.weight(home, {"AI2TEXT_CANARY_WEIGHT": weight})


@pytest.mark.parametrize(("environ", "traced"), [({}, 100), ({"AI2TEXT_TRACE_PERCENT": "0"}, 0)])
def test_the_environment_says_how_much_is_traced(environ: dict[str, str], traced: int) -> None:
    assert edge.sampling(environ) == traced


def test_a_useless_share_of_traces_is_refused_in_words(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI2TEXT_TRACE_PERCENT", "all")
    with pytest.raises(ValueError, match=r"AI2TEXT_TRACE_PERCENT .* not 'all'"):
        Mesh(home, free_ports(), Console()).up()
    assert not (home.run / "supervisor.pid").exists()


def test_without_an_edge_nothing_is_set(home: Home) -> None:
    ports = free_ports()
    with pytest.raises(runtime.EdgeAway, match=str(ports.envoy_admin)):
        canary.change(home, ports, 25)
    assert canary.weight(home, {}) == 10
    with pytest.raises(MeshError, match="make up"):
        Mesh(home, ports, Console()).canary(25)
