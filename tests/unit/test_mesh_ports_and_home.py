"""Ports and folders of a mesh."""

from pathlib import Path

import pytest

from mesh.home import REPOSITORY, Home
from mesh.ports import Ports


def test_every_port_has_its_own_number_above_the_base() -> None:
    ports = Ports.from_env({"AI2TEXT_PORT_BASE": "9000"})
    assert (ports.base, ports.edge, ports.triton_grpc, ports.search_metrics) == (9000, 9000, 9007, 9027)
    assert len(set(ports.names().values())) == len(ports.names())
    assert ports.address("asr_1") == "127.0.0.1:9020"


def test_the_default_base_is_8080() -> None:
    assert Ports.from_env({}).edge == 8080


@pytest.mark.parametrize("base", ["80", "65530", "many", "-1", ""])
def test_a_useless_base_is_refused_in_words(base: str) -> None:
    with pytest.raises(ValueError, match=r"port base|AI2TEXT_PORT_BASE"):
        Ports.from_env({"AI2TEXT_PORT_BASE": base})


def test_the_home_is_in_the_repository_unless_told_otherwise(tmp_path: Path) -> None:
    assert Home.from_env({}).root == REPOSITORY / ".mesh"
    home = Home.from_env({"AI2TEXT_HOME": str(tmp_path / "a"), "AI2TEXT_MODELS": str(tmp_path / "m")})
    assert (home.root, home.models, home.logs) == (tmp_path / "a", tmp_path / "m", tmp_path / "a" / "logs")


def test_a_note_of_the_ports_that_is_damaged_counts_for_nothing(tmp_path: Path) -> None:
    home = Home.from_env({"AI2TEXT_HOME": str(tmp_path)})
    home.create()
    Ports.from_base(9000).remember(home)
    assert Ports.of(home, {}).base == 9000
    for damage in ("", "90", "nine"):
        (home.run / "port_base").write_text(damage)  # the disk was full
        assert Ports.of(home, {}).base == 8080


def test_create_makes_the_folders_and_keeps_secrets_private(tmp_path: Path) -> None:
    home = Home.from_env({"AI2TEXT_HOME": str(tmp_path / "home")})
    home.create()
    home.create()
    assert home.traces.is_dir()
    assert home.keys.stat().st_mode & 0o077 == 0
    assert home.run.stat().st_mode & 0o077 == 0
