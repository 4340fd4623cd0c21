"""A real Envoy for a test: on free ports, in front of whatever the test serves."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from mesh.edge import Edge, render


@contextmanager
def running(folder: Path, edge: Edge) -> Iterator[Path]:
    """Envoy as `edge` says, ready; gives its log."""
    config, log = folder / "envoy.yaml", folder / "envoy.log"
    config.write_text(render(edge), encoding="utf-8")
    command = [str(Path(sys.executable).parent / "envoy"), "-c", str(config), "--concurrency", "1"]
    with log.open("wb") as out:
        envoy = subprocess.Popen([*command, "--disable-hot-restart"], stdout=out, stderr=subprocess.STDOUT)
    try:
        _wait_ready(edge.admin_port, log)
        yield log
    finally:
        envoy.terminate()
        envoy.wait(10)


def _wait_ready(admin_port: int, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{admin_port}/ready", timeout=1).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"Envoy is not ready: {log.read_text()[-3000:]}")
