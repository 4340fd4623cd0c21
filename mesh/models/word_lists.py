"""Words with their frequencies, as the wordfreq wheel ships them."""

import gzip
from pathlib import Path
from typing import Any

from mesh.models.wheels import ModelError, Wheel, read_member

WHEEL = Wheel("wordfreq", "3.1.1", "4b1c6ecffc6198be3396d5cf871c4423ca71c907c231348d352dd54d62b97473")
ENGLISH = "wordfreq/data/large_en.msgpack.gz"
VIETNAMESE = "wordfreq/data/small_vi.msgpack.gz"
_HEADER = {"format": "cB", "version": 1}
_CENTIBELS = 100
_RAREST = 700  # in centibels: one word in ten million

WordShares = list[tuple[str, float]]


def read(wheel: Path, name: str) -> WordShares:
    """The words of one list, in lower case, commonest first, each with its share of all words in the language, down
    to one in ten million.

    The file is msgpack: a header, then lists of words; the n-th list has those of share 10^(-n/100). Raises ModelError
    when it is another file.
    """
    try:
        header, *lists = _Reader(gzip.decompress(read_member(wheel, name))).value()
    except (OSError, EOFError, ValueError) as fault:
        raise ModelError(f"{name} of {wheel.name} is no list of words: {fault}") from fault
    if header != _HEADER:
        raise ModelError(f"{name} of {wheel.name} begins with {header}, not with {_HEADER}")
    return [(word, 10 ** (-place / _CENTIBELS)) for place, words in enumerate(lists[:_RAREST]) for word in words]


class _Reader:
    """As much of msgpack as these lists need: small numbers, strings, arrays, a small map."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def value(self) -> Any:
        """The value that begins here. Raises ValueError for any other type, or where the data ends too early."""
        kind = self._number(1)
        if kind < 0x80:
            return kind
        if kind < 0x90:
            return {self.value(): self.value() for _ in range(kind & 0x0F)}
        if kind < 0xA0:
            return self._array(kind & 0x0F)
        if kind < 0xC0:
            return self._take(kind & 0x1F).decode()
        if kind == 0xD9:
            return self._take(self._number(1)).decode()
        if kind == 0xDC:
            return self._array(self._number(2))
        raise ValueError(f"type {kind:#x} at byte {self._at - 1}")

    def _array(self, length: int) -> list[Any]:
        return [self.value() for _ in range(length)]

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size))

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise ValueError(f"it ends at byte {len(self._data)}")
        self._at += size
        return taken
