"""ONNX graphs by hand: nodes and weights one after the other, linear layers in eight bits."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mesh.models.eight_bits import Floats, rounded

OPSET = 17
IR_VERSION = 9
LARGEST_WEIGHT = 63
"""Of a weight in eight bits: a CPU with AVX2 and no VNNI adds two products of 255 and a weight in 16 bits."""

NOTHING = 128
"""What stands for 0 among integers from 1 to 255."""

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64

Tensor = tuple[str, int, list[int | str]]
"""What goes in or out: its name, FLOAT or INT64, and its shape, with names for lengths that vary."""


class Graph:
    """A graph that grows; every method returns the name of what it adds."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._shapes: dict[tuple[int, ...], str] = {}

    def constant(self, values: Any) -> str:
        """A tensor that is part of the model."""
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.array(values, order="C"), name))
        return name

    def integers(self, *values: int) -> str:
        """A constant vector, such as a shape."""
        if values not in self._shapes:
            self._shapes[values] = self.constant(np.array(values, np.int64))
        return self._shapes[values]

    def add(self, kind: str, *given: str, names: tuple[str, ...] = (), results: int = 1, **attributes: Any) -> Any:
        """A node: the name of its result, or of each where it has several. `names` are given to results of the model;
        `domain` is one of the attributes."""
        names = names or tuple(f"n{len(self._nodes)}_{place}" for place in range(results))
        self._nodes.append(helper.make_node(kind, list(given), list(names), **attributes))
        return names[0] if len(names) == 1 else names

    def linear(self, given: str, weight: Floats, bias: Floats | None = None) -> str:
        """`given` times `weight`, [outputs, inputs], and `bias`; in integers, with a scale for each output and one for
        all that is given at a time."""
        integers, scales = rounded(weight, LARGEST_WEIGHT)
        coarse, scale, zero = self.add("DynamicQuantizeLinear", given, results=3)
        summed = self.add("MatMulInteger", coarse, self.constant(integers.T), zero, self.constant(np.int8(0)))
        both = self.add("Mul", scale, self.constant(scales))
        product: str = self.add("Mul", self.add("Cast", summed, to=FLOAT), both)
        return self.add("Add", product, self.constant(bias)) if bias is not None else product

    def linear_by_row(self, given: str, weight: Floats, bias: Floats | None = None) -> str:
        """The same with a scale for each row of what is given: what comes out for one does not depend on the others."""
        integers, scales = rounded(weight, LARGEST_WEIGHT)
        largest = self.add("ReduceMax", self.add("Abs", given), axes=[-1], keepdims=1)
        largest = self.add("Max", largest, self.constant(np.float32(1e-8)))
        step, zero = self.constant(np.float32(1 / (NOTHING - 1))), self.constant(np.uint8(NOTHING))
        coarse = self.add("QuantizeLinear", self.add("Div", given, largest), step, zero)
        factors = [step, self.constant(scales), zero, self.constant(np.int8(0))]
        summed = self.add("MatMulIntegerToFloat", coarse, self.constant(integers.T), *factors, domain="com.microsoft")
        product: str = self.add("Mul", summed, largest)
        return self.add("Add", product, self.constant(bias)) if bias is not None else product

    def normalised(self, given: str, gamma: Floats, beta: Floats, names: tuple[str, ...] = ()) -> str:
        """Layer normalisation over the last axis."""
        scale, shift = self.constant(gamma), self.constant(beta)
        return str(self.add("LayerNormalization", given, scale, shift, names=names, axis=-1, epsilon=1e-5))

    def gelu(self, given: str) -> str:
        """The exact GELU, with the error function."""
        return str(self.add("Gelu", given, domain="com.microsoft"))

    def model(self, inputs: list[Tensor], outputs: list[Tensor]) -> bytes:
        """The graph as a file's content."""
        given, results = ([helper.make_tensor_value_info(*each) for each in side] for side in (inputs, outputs))
        graph = helper.make_graph(self._nodes, "whisper", given, results, self._constants)
        domains = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=domains, ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())
