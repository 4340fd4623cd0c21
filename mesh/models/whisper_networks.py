"""Whisper's encoder and decoder as ONNX, from the weights of a faster-whisper folder.

Written for a CPU. What the decoder attends to in the audio, keys and values of each layer, comes out of the encoder's
graph and is an input of the decoder's, where all hypotheses of a beam share it; so whoever decodes can put something
behind the clip (see whisper_tail.py). `bias` is added to the attention's logits: ln(n) makes one position count as n.

One pass of the decoder takes the hypotheses of up to CLIPS clips, each with inputs of its own for what it attends to:
most of a pass is reading the weights. The decoder's integers have a scale for each row: of each token of a text, whose
first have activations ten times as large as the others, and of each text, so that it does not depend on what is
decoded beside it.
"""

import numpy as np

from mesh.models.onnx_graph import FLOAT, INT64, Graph, Tensor
from mesh.models.whisper_weights import Whisper

CLIPS = 2


def encoder(whisper: Whisper) -> bytes:
    """`mel` [1, bands, frames] and `positions`, 0 to half of the frames, into what the decoder attends to: for each
    layer of it `keys0` [heads, width of a head, positions] and `values0` [heads, positions, width of a head]."""
    graph = Graph()
    heard = _Encoder(graph, whisper).positions("mel", "positions")
    outputs: list[Tensor] = []
    for layer in range(whisper.layers("decoder")):
        names = _names(layer)
        part = f"decoder/layer_{layer}/attention/linear_1"
        both = graph.linear(heard, whisper[f"{part}/weight"], whisper[f"{part}/bias"])
        halves = graph.add("Split", both, graph.integers(whisper.width, whisper.width), results=2, axis=-1)
        for name, half, axes in zip(names, halves, ([1, 2, 0], [1, 0, 2]), strict=True):
            by_head = graph.add("Reshape", half, graph.integers(-1, whisper.heads, whisper.per_head))
            graph.add("Transpose", by_head, perm=axes, names=(name,))
        outputs += _attended(names, whisper)
    return graph.model([("mel", FLOAT, [1, whisper.bands, "frames"]), ("positions", INT64, ["positions"])], outputs)


def decoder(whisper: Whisper, alignment_heads: list[tuple[int, int]]) -> bytes:
    """One pass over `tokens` [hypotheses, length] at `places` [1 or hypotheses, length].

    Also in: `mask` [1 or hypotheses, 1, length, all], added to the logits of the attention to what was said before and
    now; `past0` and so on, two for each layer, its keys and values [hypotheses, heads, before, width of a head];
    `shares` [CLIPS], how many of hypotheses x length are each clip's, one clip after the other; `keys0.0`, `values0.0`
    and so on, as `encoder` gives them, and `bias.0` [positions] for the first clip, `keys0.1` for the second (where
    there is none, its share is 0 and one position of anything will do); `rows`, which of hypotheses x length are asked
    for; `banned` [1 or rows, tokens], added to their logits; `count`, how many of the likeliest tokens are; `asked`
    [rows, n], tokens whose log-probability is.

    Out: `scores` and `likeliest` [rows, count], log-probabilities and their tokens; `asked_scores` [rows, n];
    `present0` and so on, to be the next `past`; `attention.0` [alignment heads, the clip's share, positions] and so on.
    """
    graph, network = Graph(), whisper.layers("decoder")
    said = _Decoder(graph, whisper, alignment_heads).rows()
    logits = graph.linear_by_row(said, whisper["decoder/embeddings/weight"])
    scores = graph.add("LogSoftmax", graph.add("Add", logits, "banned"), axis=-1)
    graph.add("TopK", scores, "count", axis=-1, names=("scores", "likeliest"))
    graph.add("GatherElements", scores, "asked", axis=1, names=("asked_scores",))
    remembered: list[int | str] = ["hypotheses", whisper.heads, "before", whisper.per_head]
    inputs: list[Tensor] = [
        ("tokens", INT64, ["hypotheses", "length"]),
        ("places", INT64, ["placed", "length"]),
        ("mask", FLOAT, ["masked", 1, "length", "all"]),
        *((f"past{place}", FLOAT, remembered) for place in range(2 * network)),
        ("shares", INT64, [CLIPS]),
        *(
            each
            for clip in range(CLIPS)
            for layer in range(network)
            for each in _attended(_names(layer, clip), whisper)
        ),
        *_of_each_clip("bias"),
        ("rows", INT64, ["rows"]),
        ("banned", FLOAT, ["banned", whisper.tokens]),
        ("count", INT64, [1]),
        ("asked", INT64, ["rows", "asked"]),
    ]
    outputs: list[Tensor] = [
        ("scores", FLOAT, ["rows", "count"]),
        ("likeliest", INT64, ["rows", "count"]),
        ("asked_scores", FLOAT, ["rows", "asked"]),
        *((f"present{place}", FLOAT, [*remembered[:2], "all", whisper.per_head]) for place in range(2 * network)),
        *_of_each_clip("attention", len(alignment_heads)),
    ]
    return graph.model(inputs, outputs)


def _names(layer: int, clip: int | None = None) -> tuple[str, str]:
    of = "" if clip is None else f".{clip}"
    return f"keys{layer}{of}", f"values{layer}{of}"


def _of_each_clip(name: str, heads: int = 0) -> list[Tensor]:
    """A tensor for each clip, its positions last; with `heads`, [heads, the clip's share, positions]."""
    own: list[list[int | str]] = [[heads, f"share.{clip}"] if heads else [] for clip in range(CLIPS)]
    return [(f"{name}.{clip}", FLOAT, [*sizes, f"positions.{clip}"]) for clip, sizes in enumerate(own)]


def _attended(names: tuple[str, str], whisper: Whisper) -> list[Tensor]:
    keys, values = names
    _, _, clip = keys.partition(".")
    return [
        (keys, FLOAT, [whisper.heads, whisper.per_head, f"positions.{clip}"]),
        (values, FLOAT, [whisper.heads, f"positions.{clip}", whisper.per_head]),
    ]


class _Network:
    """What both sides have in common."""

    def __init__(self, graph: Graph, whisper: Whisper, side: str) -> None:
        self.graph, self.whisper, self.side = graph, whisper, side
        self.scale = graph.constant(np.float32(whisper.per_head**-0.5))

    def linear(self, given: str, name: str) -> str:
        layer = self.graph.linear_by_row if self.side == "decoder" else self.graph.linear
        return layer(given, self.whisper[f"{name}/weight"], self.whisper[f"{name}/bias"])

    def normalised(self, given: str, name: str) -> str:
        return self.graph.normalised(given, self.whisper[f"{name}/gamma"], self.whisper[f"{name}/beta"])

    def split(self, given: str) -> list[str]:
        """Queries, keys and values."""
        width = self.whisper.width
        return list(self.graph.add("Split", given, self.graph.integers(width, width, width), results=3, axis=-1))

    def sum(self, one: str, other: str) -> str:
        return str(self.graph.add("Add", one, other))

    def reshaped(self, given: str, shape: tuple[int, ...], axes: list[int]) -> str:
        parted = self.graph.add("Reshape", given, self.graph.integers(*shape))
        return str(self.graph.add("Transpose", parted, perm=axes))

    def fed_forward(self, given: str, layer: str) -> str:
        wide = self.linear(self.normalised(given, f"{layer}/ffn/layer_norm"), f"{layer}/ffn/linear_0")
        return self.sum(given, self.linear(self.graph.gelu(wide), f"{layer}/ffn/linear_1"))

    def placed(self, given: str, places: str) -> str:
        known = self.graph.constant(self.whisper[f"{self.side}/position_encodings/encodings"])
        return self.sum(given, str(self.graph.add("Gather", known, places)))


class _Encoder(_Network):
    def __init__(self, graph: Graph, whisper: Whisper) -> None:
        super().__init__(graph, whisper, "encoder")

    def positions(self, mel: str, places: str) -> str:
        """The encoder's output, [positions, width]."""
        found = self._convolved(self._convolved(mel, "encoder/conv1", 1), "encoder/conv2", 2)
        by_position = self.graph.add("Transpose", found, perm=[0, 2, 1])
        flat = self.graph.add("Reshape", by_position, self.graph.integers(-1, self.whisper.width))
        found = self.placed(str(flat), places)
        for layer in range(self.whisper.layers("encoder")):
            found = self._attending(found, f"encoder/layer_{layer}")
        return self.normalised(found, "encoder/layer_norm")

    def _convolved(self, given: str, name: str, stride: int) -> str:
        weight, bias = (self.graph.constant(self.whisper[f"{name}/{part}"]) for part in ("weight", "bias"))
        return self.graph.gelu(self.graph.add("Conv", given, weight, bias, pads=[1, 1], strides=[stride]))

    def _attending(self, given: str, layer: str) -> str:
        part, graph = f"{layer}/self_attention", self.graph
        queries, keys, values = self.split(
            self.linear(self.normalised(given, f"{part}/layer_norm"), f"{part}/linear_0")
        )
        parted = (-1, self.whisper.heads, self.whisper.per_head)
        asked = graph.add("Mul", self.reshaped(queries, parted, [1, 0, 2]), self.scale)
        weights = graph.add("Softmax", graph.add("MatMul", asked, self.reshaped(keys, parted, [1, 2, 0])), axis=-1)
        found = graph.add("MatMul", weights, self.reshaped(values, parted, [1, 0, 2]))
        joined = graph.add("Transpose", found, perm=[1, 0, 2])
        flat = str(graph.add("Reshape", joined, graph.integers(-1, self.whisper.width)))
        return self.fed_forward(self.sum(given, self.linear(flat, f"{part}/linear_1")), layer)


class _Decoder(_Network):
    def __init__(self, graph: Graph, whisper: Whisper, alignment_heads: list[tuple[int, int]]) -> None:
        super().__init__(graph, whisper, "decoder")
        self._alignment_heads = alignment_heads
        self._aligning: list[list[str]] = [[] for _ in range(CLIPS)]

    def rows(self) -> str:
        """The rows that are asked for, normalised, [rows, width]."""
        graph = self.graph
        halves = graph.constant(self.whisper["decoder/embeddings/weight"].astype(np.float16))
        words = graph.add("Cast", graph.add("Gather", halves, "tokens"), to=FLOAT)
        found = self.placed(words, "places")
        for layer in range(self.whisper.layers("decoder")):
            found = self._remembering(found, layer)
            found = self._hearing(found, layer)
            found = self.fed_forward(found, f"decoder/layer_{layer}")
        for clip, attention in enumerate(self._aligning):
            graph.add("Concat", *attention, axis=0, names=(f"attention.{clip}",))
        flat = graph.add("Reshape", found, graph.integers(-1, self.whisper.width))
        return self.normalised(graph.add("Gather", flat, "rows", axis=0), "decoder/layer_norm")

    def _remembering(self, given: str, layer: int) -> str:
        """Attention to the tokens before."""
        part, graph = f"decoder/layer_{layer}/self_attention", self.graph
        all_three = self.split(self.linear(self.normalised(given, f"{part}/layer_norm"), f"{part}/linear_0"))
        parted = (0, 0, self.whisper.heads, self.whisper.per_head)
        queries, keys, values = (self.reshaped(each, parted, [0, 2, 1, 3]) for each in all_three)
        places = (2 * layer, 2 * layer + 1)
        keys, values = (
            str(graph.add("Concat", f"past{place}", new, axis=2, names=(f"present{place}",)))
            for place, new in zip(places, (keys, values), strict=True)
        )
        asked = graph.add("Mul", queries, self.scale)
        logits = graph.add("MatMul", asked, graph.add("Transpose", keys, perm=[0, 1, 3, 2]))
        weights = graph.add("Softmax", graph.add("Add", logits, "mask"), axis=-1)
        joined = graph.add("Transpose", graph.add("MatMul", weights, values), perm=[0, 2, 1, 3])
        flat = str(graph.add("Reshape", joined, graph.integers(0, 0, self.whisper.width)))
        return self.sum(given, self.linear(flat, f"{part}/linear_1"))

    def _hearing(self, given: str, layer: int) -> str:
        """Attention to the audio, for all hypotheses of a clip at a time."""
        part, graph = f"decoder/layer_{layer}/attention", self.graph
        queries = self.linear(self.normalised(given, f"{part}/layer_norm"), f"{part}/linear_0")
        parted = (-1, self.whisper.heads, self.whisper.per_head)
        asked = graph.add("Mul", self.reshaped(queries, parted, [1, 0, 2]), self.scale)
        heads = [head for its_layer, head in self._alignment_heads if its_layer == layer]
        found: list[str] = []
        for clip, own in enumerate(graph.add("Split", asked, "shares", results=CLIPS, axis=1)):
            keys, values = _names(layer, clip)
            logits = graph.add("Add", graph.add("MatMul", own, keys), f"bias.{clip}")
            weights = graph.add("Softmax", logits, axis=-1)
            if heads:
                self._aligning[clip].append(graph.add("Gather", weights, graph.integers(*heads), axis=0))
            found.append(graph.add("MatMul", weights, values))
        joined = graph.add("Transpose", graph.add("Concat", *found, axis=1), perm=[1, 0, 2])
        flat = str(graph.add("Reshape", joined, graph.add("Shape", given)))
        return self.sum(given, self.linear(flat, f"{part}/linear_2"))
