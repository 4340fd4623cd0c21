"""One server at a time uses the folder of an index."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from servers.search.claim import FolderTaken, claimed


def test_the_folder_is_one_s_until_the_end_of_the_block(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    for _ in range(2):
        with claimed(folder), pytest.raises(FolderTaken, match="another search server uses"), claimed(folder):
            pass


def test_whoever_is_killed_gives_it_back(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from servers.search.claim import claimed
with claimed(Path(sys.argv[1])):
    print("mine", flush=True)
    sys.stdin.read()
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path.cwd()) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"mine\n"
        with pytest.raises(FolderTaken), claimed(tmp_path):
            pass
        process.kill()
        process.wait()
        with claimed(tmp_path):
            pass


def test_a_second_server_ends_and_touches_nothing(tmp_path: Path) -> None:
    nobody = "127.0.0.1:1"
    environment = {
        "AI2TEXT_LISTEN": "127.0.0.1:0",
        "AI2TEXT_EMBEDDINGS": nobody,
        "AI2TEXT_NATS_URL": f"nats://{nobody}",
        "AI2TEXT_DATA_DIR": str(tmp_path),
    }
    command = [sys.executable, "-m", "servers.search"]
    with claimed(tmp_path):
        second = subprocess.run(
            command, env={**os.environ, **environment}, cwd=Path.cwd(), capture_output=True, check=False, timeout=60
        )
    assert second.returncode != 0
    assert b"another search server uses" in second.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["claim"]
