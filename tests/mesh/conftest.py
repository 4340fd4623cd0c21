"""One mesh for all tests here: real Envoy, Triton, Postgres, NATS, Valkey, and our servers."""

from collections.abc import Iterator

import pytest

from mesh.home import Home
from tests.mesh import running_mesh
from tests.mesh.running_mesh import Client, RunningMesh


@pytest.fixture(scope="session")
def running() -> Iterator[RunningMesh]:
    """The mesh, up."""
    if not (Home.from_env().models / "whisper-base").is_dir():
        pytest.skip("the mesh tests need the models: `make models`")
    with running_mesh.started() as mesh:
        yield mesh


@pytest.fixture(scope="session")
def client(running: RunningMesh) -> Iterator[Client]:
    """Stubs through the edge."""
    with running_mesh.client(running) as stubs:
        yield stubs
