"""Build the index of `make bench-search`: ten million segments in the search server's own files, and the right answers.

Goes on where it was broken off. The files are written by the server's own code (`servers.search`), without the events
that would carry ten million segments through NATS; a mesh that is started on the folder serves them.
"""

import argparse
import multiprocessing
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench import report
from bench.search import truth
from bench.search.contents import TENANT, Contents
from mesh.home import Home
from servers.search.documents import Entry
from servers.search.indexing import Changes
from servers.search.store import Store
from servers.search.terms import Terms
from servers.search.vectors import Vectors
from servers.search.word_index import WordChanges

Counted: TypeAlias = "Synchronized[int]"

VECTORS = 10_000_000
MODEL = "multilingual-e5-small"
AT_ONCE = 20_000
"""Entries of one transaction."""

LOOK_AGAIN_S = 0.2
"""How long the index of words waits for more texts."""

DISK_BYTES_A_VECTOR = 4_500
"""What must be free: the database, the lists, and those before them while new ones are written."""


def home(count: int) -> Home:
    """Where a mesh finds the index of so many vectors."""
    return Home((report.FOLDER / "search" / f"mesh-{count}").absolute(), Home.from_env().models)


def store(contents: Contents, count: int, shelf: Store, told: Callable[[int], None]) -> None:
    """Put what is not there yet: the number of the newest vector says how many there are."""
    there = shelf.last_seq()
    told(there)
    for block in contents.entries(there, count):
        for some in _pieces(block):
            shelf.put(some)
            there += len(some)
            told(there)


def lists(contents: Contents, shelf: Store, folder: Path, told: Callable[[int], None]) -> None:
    """Have the vectors come into lists, as the server does when it begins with a database and nothing else."""
    indexes = Vectors(folder, _Watched(shelf, told))
    indexes.follow(TENANT, contents.space)
    indexes.rebuild_due()
    told(indexes.stats(TENANT, contents.space).vectors)


def words(at: Path, told: Counted, all_stored: Event) -> None:
    """Have the texts come into the index of words, likewise, beside the process that stores them."""
    shelf = Store(at / "documents.sqlite")
    try:
        indexes = Terms(at / "words", _WatchedTexts(shelf, lambda done: _tell(told, done)))
        while not _abandoned():
            none_will_come = all_stored.is_set()
            came = indexes.follow(TENANT)
            indexes.merge_due()
            if not came:
                continue
            if none_will_come:
                _tell(told, shelf.count(TENANT))
                break
            time.sleep(LOOK_AGAIN_S)
    finally:
        shelf.close()


def build(contents: Contents, count: int, console: Console) -> None:
    """All of it, with a bar for each stage."""
    at = home(count)
    at.create()
    columns = (TextColumn("{task.description:9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        shelf = Store(at.search / "documents.sqlite")
        try:
            stored, spelt = _bar(progress, "segments", count), _bar(progress, "words", count)
            with words_beside(at.search) as read:

                def told(there: int) -> None:
                    stored(there)
                    spelt(read())

                store(contents, count, shelf, told)
            spelt(count)
            lists(contents, shelf, at.search / "vectors", _bar(progress, "lists", count))
        finally:
            shelf.close()
        if not truth.known(at.root / "truth.npz"):
            truth.save(at.root / "truth.npz", truth.find(contents, count, _bar(progress, "answers", count)))


@contextmanager
def words_beside(at: Path) -> Iterator[Callable[[], int]]:
    """The index of words is made in a process of its own during the block, and to the end after it. Yields how far it
    has come."""
    spawning = multiprocessing.get_context("spawn")
    told, all_stored = spawning.Value("q", 0), spawning.Event()
    process = spawning.Process(target=words, args=(at, told, all_stored), daemon=True)
    process.start()
    try:
        yield lambda: told.value
        all_stored.set()
        process.join()
        if process.exitcode:
            raise RuntimeError(f"the index of words was not made: exit status {process.exitcode}")
    finally:
        process.terminate()
        process.join()


def _abandoned() -> bool:
    """Whether the process that stores was killed: nobody would ever say that all is stored."""
    parent = multiprocessing.parent_process()
    return parent is not None and not parent.is_alive()


def _tell(told: Counted, done: int) -> None:
    told.value = done


def _pieces(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    return (entries[start : start + AT_ONCE] for start in range(0, len(entries), AT_ONCE))


def _bar(progress: Progress, name: str, total: int) -> Callable[[int], None]:
    task = progress.add_task(name, total=total)
    return lambda done: progress.update(task, completed=done)


class _Watched:
    """The journal of vectors; `told` hears up to which number it has been read."""

    def __init__(self, shelf: Store, told: Callable[[int], None]) -> None:
        self.index_id = shelf.index_id
        self.last_seq = shelf.last_seq
        self._shelf = shelf
        self._told = told

    def changes_after(self, tenant: str, space: str, seq: int, limit: int) -> Changes:
        """See `servers.search.vectors.Journal`."""
        self._told(seq)
        return self._shelf.changes_after(tenant, space, seq, limit)


class _WatchedTexts:
    """The journal of texts, likewise."""

    def __init__(self, shelf: Store, told: Callable[[int], None]) -> None:
        self.index_id = shelf.index_id
        self.last_written = shelf.last_written
        self._shelf = shelf
        self._told = told

    def written_after(self, tenant: str, seq: int, limit: int) -> WordChanges:
        """See `servers.search.terms.Journal`."""
        self._told(seq)
        return self._shelf.written_after(tenant, seq, limit)


def main() -> int:
    """Build; 2 when the texts are missing or the disk is too full."""
    parser = argparse.ArgumentParser(prog="python -m bench.search.build", description=__doc__)
    parser.add_argument("--vectors", type=int, default=VECTORS, help="how many (default: %(default)s)")
    arguments = parser.parse_args()
    console = Console()
    try:
        contents = Contents.around(Home.from_env().models / MODEL)
    except FileNotFoundError as error:
        console.print(f"bench-search draws its vectors around those of the shared texts: {error}", style="red")
        return 2
    wanted, free = arguments.vectors * DISK_BYTES_A_VECTOR, shutil.disk_usage(".").free
    if free < wanted and not truth.known(home(arguments.vectors).root / "truth.npz"):
        console.print(f"needs {wanted / 1e9:.0f} GB of disk, of which {free / 1e9:.0f} GB are free", style="red")
        return 2
    began = time.monotonic()
    build(contents, arguments.vectors, console)
    console.print(
        f"{arguments.vectors:,} segments in {home(arguments.vectors).search}: {time.monotonic() - began:.0f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
