"""Where what numba compiles is kept: under a name of all sources, wherever it is, and nowhere if it cannot be."""

import importlib.util
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import pytest

import compiled as for_triton
from servers.common import compiled as for_servers

SOURCE = "def loop(one):\n    return one + 1\n"
Kept = Callable[[], Path | None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of sources."""
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "loops.py").write_text(SOURCE)
    return sources


@pytest.fixture(params=[for_triton, for_servers], ids=["triton", "servers"])
def kept(request: pytest.FixtureRequest, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    """Compiles the loop of the folder and gives the place where it is kept."""
    module: ModuleType = request.param
    if module is for_triton:
        monkeypatch.setattr(module, "_HERE", folder)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def place() -> Path | None:
        module._place.cache_clear()
        found: str | None = module.compiled(loop(folder)).stats.cache_path
        return Path(found) if found else None

    return place


def loop(folder: Path) -> Any:
    spec = importlib.util.spec_from_file_location("loops", folder / "loops.py")
    assert spec
    assert spec.loader
    loops = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loops)
    return loops.loop


def closed(folder: Path) -> None:
    """Nothing can be written there, whoever asks: it is no folder."""
    folder.write_text("")


def test_it_is_beside_the_sources_under_a_name_of_all_of_them(kept: Kept, folder: Path) -> None:
    first = kept()
    assert first == kept()
    assert first
    assert first.is_relative_to(folder / "__pycache__")
    (folder / "others.py").write_text("MORE = 1\n")
    second = kept()
    assert second
    assert second.parent.parent == first.parent.parent
    assert [path.name for path in (folder / "__pycache__").glob("loops-*")] == [second.parent.name]


def test_it_is_where_the_environment_says_under_such_a_name_too(
    kept: Kept, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = kept()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "named"))
    found = kept()
    assert beside
    assert found
    assert found.is_relative_to(tmp_path / "named")
    assert found.parent.name == beside.parent.name
    assert str(tmp_path / "named") == numba.config.CACHE_DIR  # as it was


def test_beside_sources_that_cannot_be_written_to_it_is_not(kept: Kept, folder: Path, tmp_path: Path) -> None:
    closed(folder / "__pycache__")
    found = kept()
    assert found
    assert found.is_relative_to(tmp_path / "cache")
    assert found.parent.name.startswith("loops-")
    other = found.parent.with_name("loops-of-an-earlier-version")
    other.mkdir()
    assert kept() == found
    assert not other.exists()


def test_without_a_cache_it_is_among_what_is_temporary_where_nobody_else_can_write(
    kept: Kept, folder: Path, tmp_path: Path
) -> None:
    closed(folder / "__pycache__")
    closed(tmp_path / "cache")
    found, own = kept(), tmp_path / f"ai2text-{os.getuid()}"
    assert found
    assert found.is_relative_to(own)
    assert own.stat().st_mode & 0o777 == 0o700


def test_it_is_kept_nowhere_rather_than_where_others_can_write(kept: Kept, folder: Path, tmp_path: Path) -> None:
    closed(folder / "__pycache__")
    closed(tmp_path / "cache")
    own = tmp_path / f"ai2text-{os.getuid()}"
    own.mkdir()
    own.chmod(0o777)
    assert kept() is None
    assert numba.config.CACHE_DIR == ""  # as it was
