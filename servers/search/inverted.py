"""The words of one tenant: parts that never change, the newest in memory, the others in files.

What is committed becomes a part in memory; when those have grown, one in a file; and where parts are many, larger ones
in their place, so that the parts of an index of any size are few. What a file holds need not be read from the store
again. A manifest, put in place by a rename, names the files with their checksums, and up to which number they hold what
was written: a crash at any moment leaves the one before.
"""

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from servers.search import columns, snapshots
from servers.search.indexing import Filter, Ids, Mask
from servers.search.inverting import Buffer, merged
from servers.search.postings import Postings
from servers.search.query import Query, parsed
from servers.search.row_table import Numbers
from servers.search.snapshots import SnapshotDamaged
from servers.search.word_index import WordChanges, WordIndexDamaged, WordIndexUnwritable, WordRow
from servers.search.word_search import WordSearch

VERSION = 2
"""To be raised with any change to what is kept of a text."""

SAVED = 4_096
"""So many changes at most are in no file, and are read again by who opens the index."""

AT_ONCE = 65_536
"""A commit merges parts of so many rows in all at most; what is more is `due`."""

RATIO = 3
"""A part is merged with those after it when it is no more than so many times as long as they are together."""

MOST_WASTE = 0.1
"""The share of a part's rows that may be dead ..."""

LEAST_WASTE = 1_000
"""... where more than so many are."""

_MANIFEST = "manifest.json"
_POSTINGS, _DEAD = ".postings", ".dead"


@dataclass(frozen=True, slots=True)
class _Manifest:
    index_id: str
    seq: int
    files: tuple[tuple[str, str], ...]
    """Names and checksums: those of the parts in their order, last that of the rows that are dead."""

    version: int = VERSION


@dataclass(slots=True, eq=False)
class Part:
    """Rows, and which of them can be found."""

    postings: Postings
    alive: Mask
    """Once it is searched it never changes: another takes its place."""

    path: Path | None = None
    """None: in memory only."""

    checksum: str = ""
    dead: int = 0
    merging: bool = False
    """Whether a larger part is being made of it, so that nothing else is."""

    def kill(self, ids: Ids) -> None:
        """Have rows found no more by searches that begin later."""
        rows = self.postings.table.find(ids)
        if self.alive[rows].any():
            self.alive = self.alive.copy()
            self.alive[rows] = False
            self.dead = len(self.alive) - int(np.count_nonzero(self.alive))

    def forget(self) -> None:
        """Remove its file, if there is one."""
        if self.path:
            self.path.unlink(missing_ok=True)

    @property
    def wasteful(self) -> bool:
        """Whether it is worth its while to be made anew."""
        return self.dead > max(LEAST_WASTE, MOST_WASTE * len(self.alive))


@dataclass(frozen=True, slots=True, eq=False)
class Merging:
    """Parts that stand side by side, and what of them was alive when their merging began."""

    parts: tuple[Part, ...]
    alive: tuple[Mask, ...]

    def made(self, path: Path | None, stopped: Callable[[], bool] = lambda: False) -> Part:
        """All of them as one. OSError when there is no room, clustering.Stopped when told so in the middle."""
        try:
            postings = merged([part.postings for part in self.parts], self.alive, path, stopped)
            if path:
                snapshots.sync(path)
            return Part(postings, np.ones(len(postings), np.bool_), path, snapshots.checksum(path) if path else "")
        except BaseException:
            if path:
                path.unlink(missing_ok=True)
            raise


class InvertedIndex:
    """See WordIndex. The folder is made when it is not there; WordIndexDamaged when it does not hold an index of the
    database `index_id` that is whole and of this version, OSError when the disk does not give it."""

    def __init__(self, folder: Path, index_id: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._index_id = index_id
        self._buffer = Buffer()
        self._gone = set[int]()
        self._parts: tuple[Part, ...] = ()
        self._searched: tuple[tuple[Postings, Mask, int], ...] = ()
        """The parts as searches that begin now see them: see WordSearch. It is put in place at once, as a whole."""

        self._seq = self._saved = 0
        """The number it has come to, and that of what is in files."""

        self._changes = 0
        """How many there were since."""

        self._outdated = list[Path]()
        """Files that the next manifest will not name."""

        self._load()

    @property
    def seq(self) -> int:
        """See WordIndex."""
        return self._seq

    def apply(self, changes: WordChanges) -> None:
        """See WordIndex."""
        if changes.seq == self._seq:
            return
        for id in changes.gone:
            self._buffer.drop(id)
        self._gone.update(changes.gone)
        for row in changes.there:
            self._buffer.add(row)
        self._changes += len(changes.gone) + len(changes.there)
        self._seq = changes.seq

    def commit(self) -> None:
        """See WordIndex."""
        if not len(self._buffer) and not self._gone:
            return
        ids = np.concatenate([self._buffer.ids(), np.fromiter(self._gone, np.int64, len(self._gone))])
        for part in self._parts:
            part.kill(ids)
        if len(self._buffer):
            postings = self._buffer.part()
            self._parts = (*self._parts, Part(postings, np.ones(len(postings), np.bool_)))
        self._show()
        self._buffer.clear()
        self._gone.clear()
        if self._changes >= SAVED:
            self._save()
        elif run := self._run([part for part in self._parts if not part.path]):
            self._install(run, run.made(None))

    def matching(self, query: Query, narrowed: Filter, limit: int, thrift: int = 1) -> list[int]:
        """See WordIndex."""
        parts = self._searched
        return WordSearch(parts, query, narrowed, limit).ids(thrift) if parts else []

    def due(self) -> Merging | None:
        """Parts that are to become one beside everything else: `make` it, then `install` it. No change may be under
        way."""
        filed = self._filed()
        wasteful = next((part for part in filed if part.wasteful and not part.merging), None)
        run = self._run(filed) or (self._begun((wasteful,)) if wasteful else None)
        for part in run.parts if run else ():
            part.merging = True
        return run

    def make(self, run: Merging, stopped: Callable[[], bool]) -> Part:
        """What is `due`, in a file. Takes as long as it takes; WordIndexUnwritable, or clustering.Stopped."""
        try:
            with _translated():
                return run.made(self._unused(), stopped)
        except BaseException:
            for part in run.parts:
                part.merging = False
            raise

    def install(self, run: Merging, made: Part) -> None:
        """Have it take the place of its parts; what happened since is kept. No change may be under way."""
        self._install(run, made)
        with _translated():
            self._write(self._filed())

    def _save(self) -> None:
        """Bring what is in memory only into a file."""
        loose = tuple(part for part in self._parts if not part.path)
        with _translated():
            if loose:
                run = self._begun(loose)
                self._install(run, run.made(self._unused()))
            while more := self._run(self._filed(), AT_ONCE):
                self._install(more, more.made(self._unused()))
            self._saved = self._seq
            self._write(self._filed())
        self._changes = 0

    def _run(self, parts: Sequence[Part], most: float = float("inf")) -> Merging | None:
        """The last of these that are to become one."""
        chosen, rows = list[Part](), 0
        for part in reversed(parts):
            if part.merging or (chosen and (len(part.alive) > RATIO * rows or rows + len(part.alive) > most)):
                break
            chosen.insert(0, part)
            rows += len(part.alive)
        return self._begun(tuple(chosen)) if len(chosen) > 1 else None

    @staticmethod
    def _begun(parts: tuple[Part, ...]) -> Merging:
        return Merging(parts, tuple(part.alive for part in parts))

    def _install(self, run: Merging, made: Part) -> None:
        at = self._parts.index(run.parts[0])
        new: tuple[Part, ...] = ()
        if len(made.alive):
            since = [part.alive[was] for part, was in zip(run.parts, run.alive, strict=True)]
            made.alive[:] = np.concatenate(since)
            made.dead = int(np.count_nonzero(~made.alive))
            new = (made,)
        else:
            made.forget()
        self._parts = (*self._parts[:at], *new, *self._parts[at + len(run.parts) :])
        self._show()
        self._outdated += [part.path for part in run.parts if part.path]

    def _show(self) -> None:
        self._searched = tuple((part.postings, part.alive, part.dead) for part in self._parts)

    def _filed(self) -> list[Part]:
        return [part for part in self._parts if part.path]

    def _unused(self) -> Path:
        return self._folder / f"{uuid.uuid4().hex}{_POSTINGS}"

    def _write(self, parts: Sequence[Part]) -> None:
        """A new manifest of these files, and which of their rows are dead; then those before go."""
        dead = {str(at): np.flatnonzero(~part.alive).astype(np.uint32) for at, part in enumerate(parts) if part.dead}
        names = [(part.path.name, part.checksum) for part in parts if part.path]
        if dead:
            path = self._folder / f"{uuid.uuid4().hex}{_DEAD}"
            into = columns.create(path, {name: (rows.dtype, rows.shape) for name, rows in dead.items()}, {})
            for name, rows in dead.items():
                into[name][:] = rows
            snapshots.sync(path)
            names.append((path.name, snapshots.checksum(path)))
        manifest = _Manifest(self._index_id, self._saved, tuple(names))
        draft = self._folder / f"{_MANIFEST}.draft"
        draft.write_text(json.dumps(asdict(manifest)), encoding="utf-8")
        snapshots.sync(draft)
        draft.replace(self._folder / _MANIFEST)
        snapshots.sync(self._folder)
        while self._outdated:
            self._outdated.pop().unlink(missing_ok=True)
        self._outdated += [self._folder / name for name, _ in names if name.endswith(_DEAD)]

    def _manifest(self) -> "_Manifest | None":
        """None when there is none; WordIndexDamaged."""
        try:
            manifest = _Manifest(**json.loads((self._folder / _MANIFEST).read_text(encoding="utf-8")))
            return replace(manifest, files=tuple((name, checksum) for name, checksum in manifest.files))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise WordIndexDamaged(f"its manifest is unreadable: {error}") from error

    def _load(self) -> None:
        manifest = self._manifest()
        files = dict(manifest.files) if manifest else {}
        for path in self._folder.iterdir():
            if path.name not in (*files, _MANIFEST):  # what a crash left, or another version
                path.unlink()
        if not manifest:
            return
        if (manifest.index_id, manifest.version) != (self._index_id, VERSION):
            raise WordIndexDamaged("it belongs to another database or version")
        dead = dict[str, Numbers]()
        for name, wanted in files.items():
            path = self._folder / name
            try:
                if snapshots.checksum(path) != wanted:
                    raise WordIndexDamaged(f"the checksum of {name} is wrong")
                if path.suffix == _DEAD:
                    dead = columns.mapped(path)[1]
                    self._outdated.append(path)
                else:
                    postings = Postings.opened(path)
                    self._parts += (Part(postings, np.ones(len(postings), np.bool_), path, wanted),)
            except (FileNotFoundError, SnapshotDamaged) as error:
                raise WordIndexDamaged(str(error)) from error
        for at, rows in dead.items():
            part = self._parts[int(at)]
            part.alive[rows], part.dead = False, len(rows)
        self._show()
        self._seq = self._saved = manifest.seq


def prepare() -> None:
    """Have all loops compiled, so that no search waits for it: seconds where that was never done, else a moment."""
    with TemporaryDirectory() as folder:
        index = InvertedIndex(Path(folder), "")
        for seq, text in enumerate(("một hai ba", "hai ba bốn", "một hai"), 1):
            index.apply(WordChanges(seq, (), (WordRow(min(seq, 2), text, 1, 1),)))
            index.commit()
        for query in ("một hai", '"một hai ba" b*'):
            for narrowed in (Filter(), Filter((1,), 1)):
                index.matching(parsed(query), narrowed, 1)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WordIndexUnwritable(str(error)) from error
