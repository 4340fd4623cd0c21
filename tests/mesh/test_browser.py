"""The page for live captions in a real browser, which hears a file in place of a microphone."""

import shutil
import subprocess
from pathlib import Path

import pytest

from clients.web import serve
from tests.mesh import web
from tests.mesh.running_mesh import RunningMesh
from tests.mesh.speaking import clips
from tests.mesh.web import WEB, npm

CHROMIUM = shutil.which("chromium") or ""


@pytest.fixture(scope="module")
def site(running: RunningMesh) -> Path:
    """The page, built, and the tests that drive it."""
    if not CHROMIUM:
        pytest.skip("no browser: Debian's package chromium brings one")
    for script in ("build", "page"):
        built = npm("run", script, environment=running.environment)
        assert built.returncode == 0, built.stdout + built.stderr
    return serve.SITE


def test_live_captions_in_a_browser(running: RunningMesh, site: Path, speech_folder: Path, tmp_path: Path) -> None:
    clip = web.written(tmp_path, clips(speech_folder, "vi")[:2])
    with serve.served(site) as page:
        told = {
            **running.environment,
            **clip.environment(),
            "AI2TEXT_CHROMIUM": CHROMIUM,
            "AI2TEXT_PAGE": serve.address(page, running.url, running.token()),
        }
        command = ["node", "--test", "--test-reporter=spec", str(WEB / "dist" / "test" / "browser.test.js")]
        done = subprocess.run(command, env=told, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✔ loses nothing when the network is away for a while: opus" in done.stdout, done.stdout
