"""The TypeScript client against the mesh, over gRPC-web: its own tests, told where the mesh is."""

import subprocess

import pytest

from tests.mesh.running_mesh import ROOT, RunningMesh

WEB = ROOT / "clients" / "web"


@pytest.fixture
def web_environment(running: RunningMesh) -> dict[str, str]:
    if not (WEB / "node_modules").is_dir():
        pytest.skip("the TypeScript client needs its packages: `make setup`")
    return {**running.environment, "AI2TEXT_ENDPOINT": running.url, "AI2TEXT_TOKEN": running.token()}


def npm(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = ["npm", "--prefix", str(WEB), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=False)


def test_the_clients_own_tests_pass(web_environment: dict[str, str]) -> None:
    done = npm("test", environment=web_environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✔ finds what was stored" in done.stdout, done.stdout  # the mesh's part was not skipped


def test_the_tour_runs(web_environment: dict[str, str]) -> None:
    done = npm("run", "tour", "--", "con thuyền giấy", environment=web_environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The speech model is" in done.stdout
