"""Passes of the decoder in ONNX Runtime, of one clip alone or of several clips together.

A pass reads all weights, and for a few texts that takes most of its time: those of two clips together take little more
than those of one. What was said before is filled up in front to one length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from beams import Choices
from ears import Heard
from onnx_network import Floats, Session

HIDDEN = -np.inf
"""Added to the logit of what must not be seen or said."""


@dataclass(frozen=True)
class Memory:
    """What some texts of one length remember: `rows` of `arrays`, [texts, heads, tokens, width of a head], which may
    have other texts too; theirs are the last `length` tokens."""

    arrays: list[Floats]
    rows: list[int]
    length: int

    def of(self, texts: Sequence[int]) -> "Memory":
        """What these of the texts remember, by their places."""
        return Memory(self.arrays, [self.rows[text] for text in texts], self.length)

    def until(self, length: int) -> "Memory":
        """What they remembered when they had no more than so many tokens."""
        tokens = self.arrays[0].shape[2] - self.length + length
        return Memory([each[:, :, :tokens] for each in self.arrays], self.rows, length)


@dataclass(frozen=True)
class Pass:
    """What a clip wants to know of its texts: the likeliest tokens behind some of theirs.

    `texts` are new tokens, [texts, length], behind what `memory` has; `rows` which of texts x length are asked for,
    `banned` [1 or rows, tokens] what is added to their logits, `count` how many choices each has, `named` tokens of
    which each row tells the log-probability.
    """

    decoder: "Decoder"
    heard: Heard
    texts: Sequence[Sequence[int]]
    memory: Memory
    rows: Sequence[int]
    banned: Floats
    count: int
    named: Sequence[int] = ()

    @property
    def goes_together(self) -> bool:
        """Whether it can share a pass: one new token for each text, and all texts asked for."""
        return len(self.texts[0]) == 1 and len(self.rows) == len(self.texts) and not self.named


@dataclass(frozen=True)
class Ran:
    """What a pass gave: choices, log-probabilities of the tokens named, what the alignment heads attended to
    [heads, texts x length, positions], and what is remembered now."""

    choices: Choices
    named: Floats
    attention: Floats
    memory: Memory

    def alone(self, row: int, place: int) -> "Ran":
        """What the token at one place of a single text gave, which was asked for in one row, as if the pass had ended
        with it. Nothing was remembered before the pass."""
        one = slice(row, row + 1)
        choices = Choices(self.choices.scores[one], self.choices.tokens[one])
        return Ran(choices, self.named[one], self.attention[:, [place]], self.memory.until(place + 1))


class Decoder:
    """The network that mesh/models/whisper_networks.py writes."""

    def __init__(self, session: Session) -> None:
        self._session = session
        shapes = {each.name: each.shape for each in session.get_inputs()}
        self._remembered = sorted((name for name in shapes if name.startswith("past")), key=_number)
        _, self._heads, _, self._per_head = shapes["past0"]
        self.tokens: int = shapes["banned"][1]
        self.clips = sum(name.startswith("bias.") for name in shapes)
        present = [name.replace("past", "present") for name in self._remembered]
        attention = [f"attention.{clip}" for clip in range(self.clips)]
        self._outputs = ["scores", "likeliest", "asked_scores", *attention, *present]
        self._absent = {
            name: np.zeros([1 if isinstance(size, str) else size for size in shape], np.float32)
            for name, shape in shapes.items()
            if name.startswith(("keys", "values", "bias"))
        }

    def nothing(self) -> Memory:
        """What a text remembers before anything was said."""
        empty = np.zeros((1, self._heads, 0, self._per_head), np.float32)
        return Memory([empty] * len(self._remembered), [0], 0)

    def run(self, passes: Sequence[Pass]) -> list[Ran]:
        """All of them in one pass of the network; more than one, and up to `clips`, only if each `goes_together`.
        RuntimeError when it fails."""
        texts = _slices([len(each.texts) for each in passes])
        new = len(passes[0].texts[0])
        shares = [len(each.texts) * new for each in passes] + [0] * (self.clips - len(passes))
        memory, before = joined([each.memory for each in passes])
        scores, likeliest, named, *found = self._session.run(
            self._outputs,
            {
                "tokens": np.concatenate([np.array(each.texts, np.int64) for each in passes]),
                "places": before[:, np.newaxis] + np.arange(new),
                "mask": _mask(before, memory[0].shape[2], new),
                **dict(zip(self._remembered, memory, strict=True)),
                "shares": np.array(shares),
                **self._absent,
                **{
                    f"{name}.{clip}": values
                    for clip, each in enumerate(passes)
                    for name, values in each.heard.attended.items()
                },
                "rows": np.concatenate(
                    [np.add(each.rows, own.start * new) for each, own in zip(passes, texts, strict=True)]
                ),
                "banned": _banned(passes),
                "count": np.array([max(each.count for each in passes)]),
                "asked": np.array([each.named for each in passes for _ in each.rows], np.int64),
            },
        )
        present = found[self.clips :]
        asked = _slices([len(each.rows) for each in passes])
        return [
            Ran(
                Choices(scores[chosen, : each.count], likeliest[chosen, : each.count]),
                named[chosen],
                attention,
                Memory(present, list(range(own.start, own.stop)), each.memory.length + new),
            )
            for each, chosen, own, attention in zip(passes, asked, texts, found, strict=False)
        ]


def joined(memories: Sequence[Memory]) -> tuple[list[Floats], Any]:
    """The memories of several clips as one, filled up in front; and how many tokens each text has."""
    longest = max(each.length for each in memories)
    lengths = np.repeat([each.length for each in memories], [len(each.rows) for each in memories])
    arrays = memories[0].arrays
    if all(each.arrays is arrays for each in memories):
        rows = [row for each in memories for row in each.rows]
        kept = arrays if rows == list(range(len(arrays[0]))) else [each.take(rows, axis=0) for each in arrays]
        return [each[:, :, each.shape[2] - longest :] for each in kept], lengths
    texts = _slices([len(each.rows) for each in memories])
    filled = [np.zeros((lengths.size, one.shape[1], longest, one.shape[3]), np.float32) for one in arrays]
    for memory, own in zip(memories, texts, strict=True):
        for whole, part in zip(filled, memory.arrays, strict=True):
            whole[own, :, longest - memory.length :] = part[memory.rows, :, part.shape[2] - memory.length :]
    return filled, lengths


def _mask(before: Any, longest: int, new: int) -> Floats:
    """Each token sees what its own text had before it."""
    mask = np.zeros((before.size, 1, new, longest + new), np.float32)
    mask[:, 0, :, longest:] = np.triu(np.full((new, new), HIDDEN, np.float32), 1)
    for text, length in enumerate(before):
        mask[text, :, :, : longest - length] = HIDDEN
    return mask


def _banned(passes: Sequence[Pass]) -> Floats:
    first = passes[0].banned
    if all(each.banned is first for each in passes) and (len(passes) == 1 or len(first) == 1):
        return first
    shapes = [(len(each.rows), each.banned.shape[1]) for each in passes]
    return np.concatenate([np.broadcast_to(each.banned, shape) for each, shape in zip(passes, shapes, strict=True)])


def _slices(counts: Sequence[int]) -> list[slice]:
    ends = np.cumsum(counts).tolist()
    return [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]


def _number(name: str) -> int:
    return int(name.removeprefix("past"))
