"""One pass of a BERT's encoder in compiled loops (Devlin et al., NAACL 2019), over texts that lie one behind the other.

Nothing is padded: products go over the tokens of all texts, attention over those of each.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arithmetic import Floats, add, attend, gelu, normalised
from blocks import Blocks, block_product
from compiled import compiled
from vectors import LANES

HIDDEN = np.float32(-1e30)
"""The logit of what is no token."""


class Weights(NamedTuple):
    """All that a pass reads, of all layers; see mesh/models/e5_blocks.py."""

    all_three: Blocks
    """Queries, keys and values."""
    told: Blocks
    wide: Blocks
    narrow: Blocks
    norms: Floats
    """[layers, 2, 2, width], behind attention and behind `narrow`: a factor, and what is added."""


@compiled
def _attending(asked: Floats, begin: int, end: int, heads: int, out: Floats) -> None:
    """One text's attention to itself. Behind the last text's rows in `asked` [..., 3 x width] there are LANES more."""
    width = out.shape[1]
    per_head, tokens = width // heads, end - begin
    positions = max(tokens, LANES)
    keys, logits = np.zeros((per_head, positions), np.float32), np.empty((tokens, positions), np.float32)
    bias = np.zeros(positions, np.float32)
    bias[tokens:] = HIDDEN
    scale = np.float32(1 / np.sqrt(np.float32(per_head)))
    own, into = asked[begin:end], out[begin:end]
    for head in range(heads):
        first = head * per_head
        for token in range(tokens):
            row = own[token, width + first : width + first + per_head]
            for place in range(per_head):
                keys[place, token] = row[place]
        values = own.ctypes.data + 4 * (2 * width + first)
        attend(own, first, keys, values, 4 * asked.shape[1], bias, scale, logits, into)


@compiled
def encode(weights: Weights, states: Floats, ends: NDArray[np.int64], heads: int, epsilon: np.float32) -> None:
    """`states` [tokens, width] become those behind the last layer, in place; each text ends before one of `ends`."""
    tokens, width = states.shape
    asked = np.zeros((tokens + LANES, 3 * width), np.float32)
    wide = np.empty((tokens, weights.wide.bias.shape[1]), np.float32)
    heard, found = np.empty((tokens, width), np.float32), np.empty((tokens, width), np.float32)
    for layer in range(weights.norms.shape[0]):
        norms = weights.norms[layer]
        block_product(states, weights.all_three, layer, asked)
        begin = 0
        for end in ends:
            _attending(asked, begin, end, heads, heard)
            begin = end
        block_product(heard, weights.told, layer, found)
        add(found, states)
        normalised(found, norms[0], epsilon, states)
        block_product(states, weights.wide, layer, wide)
        for token in range(tokens):
            gelu(wide[token])
        block_product(wide, weights.narrow, layer, found)
        add(found, states)
        normalised(found, norms[1], epsilon, states)
