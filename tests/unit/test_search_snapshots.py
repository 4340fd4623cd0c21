"""Snapshots are whole, or known not to be."""

import contextlib
import hashlib
import json
from pathlib import Path

import pytest

from servers.search import snapshots
from servers.search.snapshots import SnapshotDamaged


def save(folder: Path, seq: int, content: bytes = b"data", name: str = "one") -> None:
    def write(path: Path) -> None:
        path.write_bytes(content)

    assert snapshots.save(folder, name, "index", seq, write).read_bytes() == content


def test_the_newest_is_found_and_the_old_is_gone(tmp_path: Path) -> None:
    save(tmp_path, 1, b"old")
    save(tmp_path, 2, b"new")
    found = snapshots.find(tmp_path, "one")
    assert found is not None
    assert (found[0].seq, found[0].index_id, found[1].read_bytes()) == (2, "index", b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one-2.data", "one.json"]


def test_a_crash_while_the_next_is_written_leaves_the_one_before(tmp_path: Path) -> None:
    save(tmp_path, 1, b"old")

    def crash(path: Path) -> None:
        path.write_bytes(b"hal")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        snapshots.save(tmp_path, "one", "index", 2, crash)
    found = snapshots.find(tmp_path, "one")
    assert found is not None
    assert found[1].read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one-1.data", "one.json"]


def test_one_of_the_same_number_leaves_the_one_before_until_it_is_whole(tmp_path: Path) -> None:
    save(tmp_path, 1, b"old")

    def crash(path: Path) -> None:
        path.write_bytes(b"hal")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        snapshots.save(tmp_path, "one", "index", 1, crash)
    found = snapshots.find(tmp_path, "one")
    assert found is not None
    assert found[1].read_bytes() == b"old"
    (tmp_path / "one-1.2.data").write_bytes(b"left by kill -9")
    for content in (b"new", b"newer"):
        save(tmp_path, 1, content)
        found = snapshots.find(tmp_path, "one")
        assert found is not None
        assert found[1].read_bytes() == content
        assert len(list(tmp_path.iterdir())) == 2


def test_one_of_an_earlier_version_is_as_good(tmp_path: Path) -> None:
    save(tmp_path, 1)
    manifest = tmp_path / "one.json"
    earlier = json.loads(manifest.read_text())
    del earlier["crc32c"]
    for blake2b, whole in ((hashlib.blake2b(b"data").hexdigest(), True), (hashlib.blake2b(b"dara").hexdigest(), False)):
        manifest.write_text(json.dumps(earlier | {"blake2b": blake2b}))
        with contextlib.nullcontext() if whole else pytest.raises(SnapshotDamaged):
            assert snapshots.find(tmp_path, "one")


def test_what_is_forgotten_is_gone_and_nothing_else(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2, name="one.late")
    (tmp_path / "one.late-1.data").write_bytes(b"left by a crash")
    snapshots.forget(tmp_path, "one.late")
    assert snapshots.find(tmp_path, "one.late") is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one-1.data", "one.json"]
    snapshots.forget(tmp_path, "none")


def test_none_is_none(tmp_path: Path) -> None:
    assert snapshots.find(tmp_path / "nowhere", "one") is None


@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "garbage", "other fields"])
def test_damage_is_noticed(tmp_path: Path, harm: str) -> None:
    save(tmp_path, 1)
    data, manifest = tmp_path / "one-1.data", tmp_path / "one.json"
    match harm:
        case "flip":
            data.write_bytes(b"dbta")
        case "cut":
            data.write_bytes(b"da")
        case "remove":
            data.unlink()
        case "garbage":
            manifest.write_bytes(b"\xff{")
        case "other fields":
            manifest.write_text('{"seq": 1}')
    with pytest.raises(SnapshotDamaged):
        snapshots.find(tmp_path, "one")
