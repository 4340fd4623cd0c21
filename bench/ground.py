"""What every benchmark of speech stands on: the running mesh, a token for it, the clips, the weights."""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from bench import clips
from mesh.home import Home
from mesh.keys import Keys
from mesh.models import whisper_tiny
from mesh.ports import Ports


@dataclass(frozen=True)
class Ground:
    """One mesh, and what is said to it."""

    home: Home
    ports: Ports
    data: Path
    target: str
    model: Path
    """The weights that the mesh serves, for the peers."""

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """What may be chosen on the command line."""
        home = Home.from_env()
        weights = home.models / os.environ.get("AI2TEXT_WHISPER_MODEL", "whisper-base")
        parser.add_argument(
            "--data", type=Path, default=clips.DEFAULT_FOLDER, help="shared data (default: %(default)s)"
        )
        parser.add_argument("--target", default=Ports.of(home).address("edge"), help="the edge (default: %(default)s)")
        parser.add_argument("--model", type=Path, default=weights, help="weights of the peers (default: %(default)s)")

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> "Ground":
        """As the command line and the environment say."""
        home = Home.from_env()
        return cls(home, Ports.of(home), arguments.data, arguments.target, arguments.model)

    @staticmethod
    def tiny_weights() -> Path:
        """Where `python -m mesh.models --tiny` puts the smallest weights."""
        return Home.from_env().models / whisper_tiny.NAME

    def token(self) -> str:
        """For one run. Raises KeysMissing."""
        return Keys(self.home.keys).mint("bench", "bench")

    def clips(self) -> list[clips.Clip]:
        """The shared clips, else the demo's. Raises FileNotFoundError, saying what to do, when there are none."""
        return clips.found(self.data, self.home.root / "speech")[0]
