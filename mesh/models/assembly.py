"""Folders that are either whole or absent."""

import fcntl
import glob
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

RECIPE_FILE = "ai2text-recipe.txt"
LOCK_FILE = ".ai2text-assembling"
_ANY_SUFFIX = 8 * "?"
"""Of what `tempfile` makes."""


def is_assembled(folder: Path, recipe: str, needs: Sequence[Path] = ()) -> bool:
    """Whether `folder` was assembled by this very recipe, and has the files of it that are needed here."""
    try:
        made_of = (folder / RECIPE_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return made_of == recipe and all((folder / file).is_file() for file in needs)


def assemble(folder: Path, recipe: str, fill: Callable[[Path], None], needs: Sequence[Path] = ()) -> None:
    """Lets `fill` write into a temporary folder, then puts that in the place of `folder` in one rename.

    `recipe` names all that went in; another recipe later means assembling anew. When `fill` raises, `folder` is left
    as it was and nothing half-made remains. Where another process assembles beside it, this one waits, and does nothing
    when that has made the same, with the files in `needs`.
    """
    with _alone(folder.parent):
        if is_assembled(folder, recipe, needs):
            return
        for left_by_a_killed_one in folder.parent.glob(f".{glob.escape(folder.name)}-{_ANY_SUFFIX}"):
            shutil.rmtree(left_by_a_killed_one, ignore_errors=True)
        _assemble(folder, recipe, fill)


def _assemble(folder: Path, recipe: str, fill: Callable[[Path], None]) -> None:
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        fill(scratch)
        (scratch / RECIPE_FILE).write_text(recipe, encoding="utf-8")
        _make_readable(scratch)
        if folder.exists():
            folder.rename(scratch / ".replaced")
        scratch.rename(folder)
        shutil.rmtree(folder / ".replaced", ignore_errors=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _alone(parent: Path) -> Iterator[None]:
    """Within the block no other process assembles a folder in `parent`; who is killed keeps nobody waiting."""
    parent.mkdir(parents=True, exist_ok=True)
    with (parent / LOCK_FILE).open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make_readable(folder: Path) -> None:
    """Lets every user read what only its owner could: temporary folders are private, and so are some writers' files."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
