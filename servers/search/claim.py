"""The folder of the index is one server's at a time.

Two would not hear of each other's writes, and so keep answers that no longer hold; and each would remove the files that
the other is writing.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FolderTaken(Exception):
    """Another process has the folder."""


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """The folder, made when it is not there, is this process's alone until the end of the block, or of the process in
    whatever way. FolderTaken."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "claim").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FolderTaken(f"another search server uses {folder}") from error
        yield
