"""What tests of several folders need."""

from pathlib import Path

import pytest

from mesh.home import Home


@pytest.fixture(scope="session")
def speech_folder() -> Path:
    """The clips of `make speech`."""
    folder = Home.from_env().root / "speech"
    if not (folder / "manifest.jsonl").is_file():
        pytest.skip("this test needs the demo's clips: `make speech`")
    return folder
