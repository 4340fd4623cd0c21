"""The TypeScript client against the mesh, over gRPC-web: its own tests, told where the mesh is."""

import subprocess
from pathlib import Path

import pytest

from bench import scoring
from tests.mesh import replicas, web
from tests.mesh.running_mesh import RunningMesh
from tests.mesh.speaking import clips
from tests.mesh.web import WEB, npm


@pytest.fixture
def web_environment(running: RunningMesh) -> dict[str, str]:
    if not (WEB / "node_modules").is_dir():
        pytest.skip("the TypeScript client needs its packages: `make setup`")
    return {**running.environment, "AI2TEXT_ENDPOINT": running.url, "AI2TEXT_TOKEN": running.token()}


def test_the_clients_own_tests_pass(web_environment: dict[str, str], speech_folder: Path, tmp_path: Path) -> None:
    clip = web.written(tmp_path, clips(speech_folder, "vi")[:1])
    done = npm("test", environment={**web_environment, **clip.environment()})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✔ finds what was stored" in done.stdout, done.stdout  # the mesh's part was not skipped
    assert "✔ becomes finals: WebM/Opus" in done.stdout, done.stdout


def test_the_tour_runs(web_environment: dict[str, str]) -> None:
    done = npm("run", "tour", "--", "con thuyền giấy", environment=web_environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The speech model is" in done.stdout


def test_live_speech_survives_the_death_of_its_server(
    web_environment: dict[str, str], running: RunningMesh, speech_folder: Path, tmp_path: Path
) -> None:
    clip = web.written(tmp_path, clips(speech_folder, "vi")[:4])
    command = ["npm", "--prefix", str(WEB), "run", "speak", "--", str(clip.wav), "vi"]
    replicas.wait_until_nobody_speaks(running)
    with subprocess.Popen(command, env=web_environment, stdout=subprocess.PIPE, text=True) as speaking:
        assert speaking.stdout is not None
        heard = [next(line for line in speaking.stdout if "…" in line)]
        running.kill(replicas.the_serving_one(running))
        heard += list(speaking.stdout)
    running.wait_well()
    text = " ".join(line[8:].strip() for line in heard if line[:7].strip().replace(".", "").isdigit())
    assert speaking.returncode == 0, heard
    assert any(line.startswith("resumed") for line in heard), heard
    assert scoring.rates([clip.words], [text]).cer < 0.4
