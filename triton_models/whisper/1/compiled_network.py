"""Whisper's decoder in compiled loops, as a Session, with the weights that mesh/models/whisper_eight_bits.py writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from arithmetic import Bytes, Linear
from decoder_pass import Weights, decode
from onnx_network import Floats
from vectors import BROAD, GROUP, INSTRUCTIONS, LANES, OUTPUTS

CLIPS = 2
"""As in mesh/models/whisper_networks.py."""
LINE = 64
"""Bytes of a line of a cache; all sizes of panels are multiples of it."""


@dataclass(frozen=True)
class Input:
    """What goes in; names stand for lengths that vary."""

    name: str
    shape: list[int | str]


class CompiledNetwork:
    """What mesh/models/whisper_networks.py describes. Compiled, or read from where that is kept, before it is used."""

    def __init__(self, path: Path, other: "CompiledNetwork | None" = None) -> None:
        """Layers that `other` has as well are taken from it: a model and its cuts differ in their words alone, and the
        processor's cache has not room for the same twice. ValueError when its heads have another width than all
        Whispers' have."""
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        self._words, self._places = arrays["words"], arrays["places"]
        self._tokens, width = self._words.shape
        self._heads = int(arrays["heads"])
        self._per_head = width // self._heads
        if self._per_head % (LANES * BROAD):
            raise ValueError(f"{path}: heads must be some times {LANES * BROAD} numbers wide, not {self._per_head}")
        self._layers = len(arrays["norms"])
        arrays |= {f"words.{part}": arrays[f"words.{part}"][np.newaxis] for part in ("weight", "scale")}
        arrays["words.bias"] = np.zeros_like(arrays["words.scale"])
        linear = {
            name: Linear(
                _panels(arrays[f"{name}.weight"]),
                _filled(arrays[f"{name}.scale"]),
                _filled(arrays[f"{name}.bias"]),
                _filled(INSTRUCTIONS.nothing * arrays[f"{name}.weight"].sum(axis=2, dtype=np.int32)),
            )
            for name in Weights._fields
            if f"{name}.weight" in arrays
        }
        theirs: dict[str, Linear] = {} if other is None else other.linear
        same = {name for name, own in linear.items() if name in theirs and _equal(own, theirs[name])}
        own = [name for name in linear if name not in same]
        placed = zip(own, _side_by_side([linear[name].panels for name in own]), strict=True)
        linear |= {name: theirs[name] for name in same}
        self.linear: dict[str, Linear] = linear | {
            name: linear[name]._replace(panels=panels) for name, panels in placed
        }
        """Its linear layers, by their names in Weights."""
        self._weights = Weights(
            norms=arrays["norms"],
            last_norm=arrays["last_norm"],
            alignment_heads=arrays["alignment_heads"],
            **self.linear,
        )
        self._say_a_word()

    def get_outputs(self) -> list[Any]:
        """None has to be named."""
        return []

    def get_inputs(self) -> list[Any]:
        """See Session."""
        remembered: list[int | str] = ["hypotheses", self._heads, "before", self._per_head]
        keys: list[int | str] = [self._heads, self._per_head, "positions"]
        values: list[int | str] = [self._heads, "positions", self._per_head]
        return [
            *(Input(f"past{place}", remembered) for place in range(2 * self._layers)),
            *(
                Input(f"{name}{layer}.{clip}", shape)
                for clip in range(CLIPS)
                for layer in range(self._layers)
                for name, shape in (("keys", keys), ("values", values))
            ),
            *(Input(f"bias.{clip}", ["positions"]) for clip in range(CLIPS)),
            Input("banned", ["banned", self._tokens]),
        ]

    def run(self, names: list[str] | None, given: Mapping[str, Any]) -> list[Any]:
        """See Session. All outputs, whatever `names` are."""
        tokens, rows, asked = given["tokens"], given["rows"], given["asked"]
        texts, new = tokens.shape
        past = tuple(_whole(given[f"past{place}"]) for place in range(2 * self._layers))
        room = (texts, self._heads, past[0].shape[2] + new, self._per_head)
        present = tuple(np.empty(room, np.float32) for _ in past)
        biases = tuple(_whole(given[f"bias.{clip}"]) for clip in range(CLIPS))
        if any(share and bias.size < LANES for share, bias in zip(given["shares"], biases, strict=True)):
            raise ValueError(f"a clip must have {LANES} positions")
        attention = tuple(
            np.empty((len(self._weights.alignment_heads), share, bias.size), np.float32)
            for share, bias in zip(given["shares"], biases, strict=True)
        )
        attended = tuple(
            tuple(
                _whole(given[f"{name}{layer}.{clip}"]) for layer in range(self._layers) for name in ("keys", "values")
            )
            for clip in range(CLIPS)
        )
        choices = (len(rows), int(given["count"][0]))
        scores, likeliest = np.empty(choices, np.float32), np.empty(choices, np.int64)
        asked_scores = np.empty(asked.shape, np.float32)
        found = self._words[tokens].astype(np.float32) + self._places[given["places"]]
        decode(
            self._weights, found.reshape(texts * new, -1), given["mask"], past, present, given["shares"], attended,
            biases, attention, rows, given["banned"], asked, scores, likeliest, asked_scores,
        )  # fmt: skip
        return [scores, likeliest, asked_scores, *attention, *present]

    def _say_a_word(self) -> None:
        """A pass over nothing, so that no other waits for the compiler."""
        sizes = {"positions": LANES, "hypotheses": 1, "before": 0, "banned": 1}
        given: dict[str, Any] = {
            each.name: np.zeros([size if isinstance(size, int) else sizes[size] for size in each.shape], np.float32)
            for each in self.get_inputs()
        }
        one = np.zeros((1, 1), np.int64)
        given |= {
            "tokens": one,
            "places": one,
            "asked": one,
            "rows": one[0],
            "mask": np.zeros((1, 1, 1, 1), np.float32),
        }
        self.run(None, given | {"shares": np.array([1, *[0] * (CLIPS - 1)]), "count": np.array([1])})


def _whole(values: Floats) -> Floats:
    """The same, in the order in which compiled loops go through it by addresses."""
    return np.ascontiguousarray(values, np.float32)


def _panels(weight: Bytes) -> Bytes:
    """Layers [layers, outputs, inputs] as panels."""
    layers, _, inputs = weight.shape
    parted: Bytes = _filled(weight).reshape(layers, -1, OUTPUTS, inputs // GROUP, GROUP).transpose(0, 1, 3, 2, 4)
    return parted.reshape(layers, -1, inputs // GROUP, GROUP * OUTPUTS)


def _filled(values: Any) -> Any:
    """[layers, outputs, ...] with zeros behind the outputs, as many as whole panels have."""
    return np.pad(values, [(0, 0), (0, -values.shape[1] % OUTPUTS), *[(0, 0)] * (values.ndim - 2)])


def _equal(one: Linear, other: Linear) -> bool:
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in Linear._fields)


def _side_by_side(arrays: Sequence[Bytes]) -> list[Bytes]:
    """The same in one piece of memory, for which the system may take large pages; each begins with a line of a cache,
    as each vector then does."""
    memory = np.empty(sum(each.size for each in arrays) + LINE, np.int8)
    begin, placed = -memory.ctypes.data % LINE, list[Bytes]()
    for each in arrays:
        own = memory[begin : begin + each.size].reshape(each.shape)
        own[:] = each
        placed.append(own)
        begin += each.size
    return placed
