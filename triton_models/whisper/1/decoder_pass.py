"""One pass of Whisper's decoder in compiled loops.

It computes what the graph of mesh/models/whisper_networks.py does, in less than half of the time that ONNX Runtime
takes for it: all weights are read once, in the order in which they lie, and between two products there is little else.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arithmetic import Floats, Linear, add, attend, exponential, gelu, largest, normalised, product, softmax
from compiled import compiled
from vectors import OUTPUTS

HIDDEN = np.float32(-1e30)
"""The logit of what must not be seen or said: a number, since two infinities have no difference."""
NEVER = np.float32(-np.inf)
"""Its log-probability."""
EPSILON = np.float32(1e-5)
"""Of all its normalisations."""
BLOCK = 64
"""Tokens whose largest logit is looked at first."""


class Weights(NamedTuple):
    """All that a pass reads; see mesh/models/whisper_eight_bits.py."""

    norms: Floats
    last_norm: Floats
    all_three: Linear
    remembered: Linear
    question: Linear
    heard: Linear
    wide: Linear
    narrow: Linear
    words: Linear
    alignment_heads: NDArray[np.int64]


@compiled
def _remembering(
    asked: Floats, mask: Floats, past_keys: Floats, past_values: Floats, keys: Floats, values: Floats,
    scale: np.float32, out: Floats,
) -> None:  # fmt: skip
    """Attention of `asked` [texts x new, 3 x width], whose keys and values come behind those of the past [texts, heads,
    before, width of a head] into `keys` and `values`, to all of these."""
    texts, heads, tokens, per_head = keys.shape
    before, width = past_keys.shape[2], heads * per_head
    new = tokens - before
    logits = np.empty(tokens, np.float32)
    for text in range(texts):
        hidden = mask[text if mask.shape[0] > 1 else 0, 0]
        for head in range(heads):
            own = slice(head * per_head, (head + 1) * per_head)
            known, told = keys[text, head], values[text, head]
            known[:before], told[:before] = past_keys[text, head], past_values[text, head]
            for token in range(new):
                row = asked[text * new + token]
                known[before + token] = row[width:][own]
                told[before + token] = row[2 * width :][own]
            for token in range(new):
                wanted, into = asked[text * new + token, own], out[text * new + token, own]
                for place in range(tokens):
                    total, one = np.float32(0), known[place]
                    for at in range(per_head):
                        total += wanted[at] * one[at]
                    logit = total * scale + hidden[token, place]
                    logits[place] = logit if logit > HIDDEN else HIDDEN
                softmax(logits)
                into[:] = np.float32(0)
                for place in range(tokens):
                    share, one = logits[place], told[place]
                    for at in range(per_head):
                        into[at] += share * one[at]


@compiled
def _hearing(
    asked: Floats, keys: Floats, values: Floats, bias: Floats, scale: np.float32, out: Floats,
    layer: int, aligned: NDArray[np.int64], attention: Floats,
) -> None:  # fmt: skip
    """Attention of `asked` [rows, width] to one clip: keys [heads, width of a head, positions], values the other way
    round. What the alignment heads attend to is kept."""
    heads, per_head, positions = keys.shape
    logits = np.empty((asked.shape[0], positions), np.float32)
    for head in range(heads):
        told = values[head].ctypes.data
        attend(asked, head * per_head, keys[head], told, 4 * per_head, bias, scale, logits, out)
        for kept in range(len(aligned)):
            if aligned[kept, 0] == layer and aligned[kept, 1] == head:
                attention[kept, :, :] = logits


@compiled
def _likeliest(logits: Floats, count: int, scores: Floats, tokens: NDArray[np.int64]) -> np.float32:
    """The `count` largest with their places, best first; returns what the logarithm of the sum of all powers is."""
    most, total = largest(logits), np.float32(0)
    for token in range(logits.size):
        total += exponential(logits[token] - most)
    kept = 0
    for first in range(0, logits.size, BLOCK):
        block = logits[first : first + BLOCK]
        if kept == count and largest(block) <= scores[kept - 1]:
            continue
        for place in range(block.size):
            value = block[place]
            if kept == count and value <= scores[kept - 1]:
                continue
            at = kept if kept < count else kept - 1
            while at and scores[at - 1] < value:
                scores[at], tokens[at] = scores[at - 1], tokens[at - 1]
                at -= 1
            scores[at], tokens[at] = value, first + place
            kept = min(kept + 1, count)
    return np.float32(most + np.log(total))


@compiled
def decode(
    weights: Weights,
    found: Floats,
    mask: Floats,
    past: tuple[Floats, ...],
    present: tuple[Floats, ...],
    shares: NDArray[np.int64],
    attended: tuple[tuple[Floats, ...], ...],
    biases: tuple[Floats, ...],
    attention: tuple[Floats, ...],
    rows: NDArray[np.int64],
    banned: Floats,
    asked: NDArray[np.int64],
    scores: Floats,
    likeliest: NDArray[np.int64],
    asked_scores: Floats,
) -> None:
    """The pass that `whisper_networks.decoder` describes. `found` [texts x new, width] is what is known of the tokens
    and their places; `past`, `present`, `attended`, `biases` and `attention` are what the graph has under such names,
    for all layers and clips. `present`, `attention`, `scores`, `likeliest` and `asked_scores` are written."""
    count, width = found.shape
    scale = np.float32(1 / np.sqrt(present[0].shape[3]))
    normal, other = np.empty((count, width), np.float32), np.empty((count, width), np.float32)
    all_three, wide = np.empty((count, 3 * width), np.float32), np.empty((count, 4 * width), np.float32)
    for layer in range(weights.norms.shape[0]):
        norms = weights.norms[layer]
        normalised(found, norms[0], EPSILON, normal)
        product(normal, weights.all_three, layer, all_three)
        keys, values = 2 * layer, 2 * layer + 1
        _remembering(all_three, mask, past[keys], past[values], present[keys], present[values], scale, other)
        product(other, weights.remembered, layer, normal)
        add(found, normal)
        normalised(found, norms[1], EPSILON, normal)
        product(normal, weights.question, layer, other)
        first = 0
        for clip in range(len(biases)):
            own = slice(first, first + shares[clip])
            if shares[clip]:
                _hearing(
                    other[own], attended[clip][keys], attended[clip][values], biases[clip], scale, normal[own], layer,
                    weights.alignment_heads, attention[clip],
                )  # fmt: skip
            first += shares[clip]
        product(normal, weights.heard, layer, other)
        add(found, other)
        normalised(found, norms[2], EPSILON, normal)
        product(normal, weights.wide, layer, wide)
        for row in range(count):
            gelu(wide[row])
        product(wide, weights.narrow, layer, normal)
        add(found, normal)
    chosen, last = np.empty((len(rows), width), np.float32), np.empty((len(rows), width), np.float32)
    for row in range(len(rows)):
        chosen[row] = found[rows[row]]
    normalised(chosen, weights.last_norm, EPSILON, last)
    logits = np.empty((len(rows), weights.words.panels.shape[1] * OUTPUTS), np.float32)
    product(last, weights.words, 0, logits)
    for row in range(len(rows)):
        hidden, own_logits = banned[row if banned.shape[0] > 1 else 0], logits[row, : banned.shape[1]]
        for token in range(hidden.size):
            logit = own_logits[token] + hidden[token]
            own_logits[token] = logit if logit > HIDDEN else HIDDEN
        above = _likeliest(own_logits, scores.shape[1], scores[row], likeliest[row])
        for at in range(scores.shape[1]):
            scores[row, at] = scores[row, at] - above if scores[row, at] > HIDDEN else NEVER
        for at in range(asked.shape[1]):
            logit = own_logits[asked[row, at]]
            asked_scores[row, at] = logit - above if logit > HIDDEN else NEVER
