"""Arrays in one file that is mapped, not read: a header in JSON, then each array where the header says."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from servers.search.snapshots import SnapshotDamaged

Arrays = dict[str, npt.NDArray[Any]]

_MAGIC = b"AI2TEXT columns\n"
_ALIGNED = 64


def create(path: Path, shapes: Mapping[str, tuple[npt.DTypeLike, tuple[int, ...]]], facts: Mapping[str, Any]) -> Arrays:
    """A new file with `facts` and with arrays to be filled; what is put into them is in the file, not yet on disk.

    OSError when there is no room: all of it is taken at once, as a disk that is full ends who writes to a mapped file.
    """
    places, at = {}, 0
    for name, (kind, shape) in shapes.items():
        dtype = np.dtype(kind).newbyteorder("<")
        places[name] = {"dtype": dtype.str, "shape": shape, "at": at}
        at = _aligned(at + dtype.itemsize * int(np.prod(shape, dtype=np.int64)))
    header = json.dumps({"facts": facts, "arrays": places}).encode()
    begin = _MAGIC + len(header).to_bytes(8, "little") + header
    # Who still maps a file of that name goes on with it.
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, _aligned(len(begin)) + at)
        file.write(begin)
    return _arrays(np.memmap(path, np.uint8, "r+"), places, _aligned(len(begin)))


def mapped(path: Path) -> tuple[dict[str, Any], Arrays]:
    """The facts and the arrays of a file, to be read only; SnapshotDamaged when it is of another kind."""
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise SnapshotDamaged("it is of another kind")
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    begin = _aligned(len(_MAGIC) + 8 + length)
    return header["facts"], _arrays(np.memmap(path, np.uint8, "r"), header["arrays"], begin)


def _arrays(memory: npt.NDArray[np.uint8], places: Mapping[str, Any], begin: int) -> Arrays:
    """Views; they keep the mapping as long as there is any."""
    plain, arrays = memory.view(np.ndarray), Arrays()
    for name, place in places.items():
        dtype, shape = np.dtype(place["dtype"]), tuple(place["shape"])
        start = begin + place["at"]
        length = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        arrays[name] = plain[start : start + length].view(dtype).reshape(shape)
    return arrays


def _aligned(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED
