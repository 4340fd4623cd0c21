"""The file `model.bin` of CTranslate2.

All numbers are little-endian; a name is a u16 length and as many bytes, its last one 0. In order:

    u32 version of the format, name of the model's kind, u32 revision of that kind
    u32 count, then for each variable: name, u8 rank, u32 x rank, u8 type of its numbers, u32 bytes, the numbers
    u32 count, then for each alias: its name, the name of the variable that it stands for
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mesh.models.wheels import ModelError

VERSION = 6


@dataclass(frozen=True)
class Variable:
    """One tensor; `kind` is CTranslate2's number for the type of its elements."""

    name: str
    shape: tuple[int, ...]
    kind: int
    data: bytes

    def rows(self, kept: Sequence[int]) -> "Variable":
        """The variable with some rows only, in the order of `kept`."""
        rows = np.frombuffer(self.data, np.uint8).reshape(self.shape[0], -1)[np.asarray(kept)]
        return replace(self, shape=(len(kept), *self.shape[1:]), data=rows.tobytes())


@dataclass(frozen=True)
class Weights:
    """A whole model. `aliases` are pairs of a name and the variable that it stands for."""

    spec: str
    revision: int
    variables: list[Variable]
    aliases: list[tuple[str, str]]


def read(path: Path) -> Weights:
    """Parses a file. Raises ModelError when it is not of the version that is described above."""
    reader = _Reader(path.read_bytes())
    try:
        if (version := reader.number("I")) != VERSION:
            raise ModelError(f"{path} has version {version} of CTranslate2's format; {VERSION} is understood")
        spec, revision = reader.name(), reader.number("I")
        variables = [reader.variable() for _ in range(reader.number("I"))]
        aliases = [(reader.name(), reader.name()) for _ in range(reader.number("I"))]
    except (struct.error, UnicodeDecodeError) as fault:
        raise ModelError(f"{path} is no model of CTranslate2: {fault}") from fault
    return Weights(spec, revision, variables, aliases)


def write(weights: Weights, path: Path) -> None:
    """Writes a file that `read` and CTranslate2 understand."""
    with path.open("wb") as file:
        file.writelines(_parts(weights))


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._at = 0

    def number(self, form: str) -> int:
        (value,) = struct.unpack_from(f"<{form}", self._data, self._at)
        self._at += struct.calcsize(form)
        return int(value)

    def name(self) -> str:
        return self._take(self.number("H")).decode().removesuffix("\0")

    def variable(self) -> Variable:
        name = self.name()
        shape = tuple(self.number("I") for _ in range(self.number("B")))
        return Variable(name, shape, self.number("B"), self._take(self.number("I")))

    def _take(self, size: int) -> bytes:
        self._at += size
        return bytes(self._data[self._at - size : self._at])


def _parts(weights: Weights) -> Iterator[bytes]:
    yield struct.pack("<I", VERSION) + _name(weights.spec) + struct.pack("<I", weights.revision)
    yield struct.pack("<I", len(weights.variables))
    for each in weights.variables:
        yield _name(each.name) + struct.pack(f"<B{len(each.shape)}I", len(each.shape), *each.shape)
        yield struct.pack("<BI", each.kind, len(each.data)) + each.data
    yield struct.pack("<I", len(weights.aliases)) + b"".join(_name(a) + _name(b) for a, b in weights.aliases)


def _name(text: str) -> bytes:
    encoded = text.encode() + b"\0"
    return struct.pack("<H", len(encoded)) + encoded
