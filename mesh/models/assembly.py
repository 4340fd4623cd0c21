"""Folders that are either whole or absent."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

RECIPE_FILE = "ai2text-recipe.txt"


def is_assembled(folder: Path, recipe: str) -> bool:
    """Whether `folder` was assembled by this very recipe."""
    try:
        return (folder / RECIPE_FILE).read_text() == recipe
    except FileNotFoundError:
        return False


def assemble(folder: Path, recipe: str, fill: Callable[[Path], None]) -> None:
    """Lets `fill` write into a temporary folder, then puts that in the place of `folder` in one rename.

    `recipe` names all that went in; another recipe later means assembling anew. When `fill` raises, `folder` is left
    as it was and nothing half-made remains.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        fill(scratch)
        (scratch / RECIPE_FILE).write_text(recipe)
        _make_readable(scratch)
        if folder.exists():
            folder.rename(scratch / ".replaced")
        scratch.rename(folder)
        shutil.rmtree(folder / ".replaced", ignore_errors=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _make_readable(folder: Path) -> None:
    """Lets every user read what only its owner could: temporary folders are private, and so are some writers' files."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
