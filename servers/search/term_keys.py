"""Terms as numbers of 64 bits: what an index of words is sorted by.

A word has a hash, a term one that is made of its field and its word's hash, or those of both words of a pair. Two terms
of one tenant that share a key are as likely as not only when there are some five thousand millions of them.
"""

from functools import lru_cache
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

from servers.common.compiled import compiled
from servers.search.matching import FOLDED, FOLDED_PAIRS, PAIRS, SPELT, SPELT_PAIRS

Keys = npt.NDArray[np.uint64]

SALTS: Final = {FOLDED: 0x51AF_3C8B, SPELT: 0xA23E_91D7, FOLDED_PAIRS: 0x3D5C_07E9, SPELT_PAIRS: 0xC871_E645}
"""What tells the fields apart."""

_BETWEEN = "_"
_SPREAD, _MIXED = np.uint64(0x9E37_79B9_7F4A_7C15), np.uint64(0xD6E8_FEB8_6659_FD93)
_HALF = np.uint64(32)
_MOST_KNOWN = 50_000


@lru_cache(_MOST_KNOWN)
def word_hash(word: str) -> int:
    """64 bits of a word."""
    return int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest())


@compiled
def key(salt: np.uint64, first: np.uint64, second: np.uint64) -> np.uint64:
    """Of a term; `second` is 0 unless it is a pair."""
    mixed = (first ^ salt) * _SPREAD + second
    mixed = (mixed ^ (mixed >> _HALF)) * _MIXED
    return mixed ^ (mixed >> _HALF)


@lru_cache(_MOST_KNOWN)
def key_of(field: str, text: str) -> np.uint64:
    """The same, of a term as `servers.search.matching` writes it."""
    first, _, second = text.partition(_BETWEEN) if field in PAIRS.values() else (text, "", "")
    hashes = word_hash(first), word_hash(second) if second else 0
    return np.uint64(key(np.uint64(SALTS[field]), *map(np.uint64, hashes)))
