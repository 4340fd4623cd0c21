"""A network in ONNX Runtime, of one thread or more for each call."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

Floats = NDArray[np.float32]


class Session(Protocol):
    """What is used of `onnxruntime.InferenceSession`. Several threads may run one at the same time."""

    def run(self, names: list[str] | None, given: Mapping[str, Any]) -> list[Any]:
        """The outputs by their names, or all."""

    def get_inputs(self) -> list[Any]:
        """What goes in, with `name` and `shape`."""

    def get_outputs(self) -> list[Any]:
        """What comes out, with `name` and `shape`."""


class Network:
    """A Session of ONNX Runtime whose failures are RuntimeErrors, as CTranslate2's are."""

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False  # each clip and each step has another shape
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.get_inputs = self._session.get_inputs
        self.get_outputs = self._session.get_outputs

    def run(self, names: list[str] | None, given: Mapping[str, Any]) -> list[Any]:
        """See Session."""
        try:
            return list(self._session.run(names, given))
        except (Fail, InvalidArgument, RuntimeException) as fault:
            raise RuntimeError(str(fault)) from fault
