"""A sentence-transformers model behind Triton: texts in, unit vectors out, or how close each text is to a question.

Inputs, one text a request or up to 32:

    TEXT   STRING [1]  UTF-8; what goes beyond the model's longest input is left out
    KIND   STRING [1]  `query` for what is asked, `passage` (or "") for what is searched: which prompt goes before TEXT
    QUERY  STRING [1]  optional: a question that TEXT, a passage, is compared with

Outputs:

    EMBEDDING  FP32 [d]  of length 1; d is 384 for multilingual-e5-small. For a request without QUERY.
    CLOSENESS  FP32 [1]  -1 to 1; see `encoder`. For a request with QUERY.
"""

import os
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from encoder import load
from prompts import QUERY, UnusableRequest, dressed


class TritonPythonModel:
    """One instance: one model in memory, one batch at a time."""

    def initialize(self, args: dict[str, str]) -> None:
        """Loads AI2TEXT_EMBEDDER_MODEL, a sentence-transformers folder, on AI2TEXT_EMBEDDER_DEVICE (default: cpu)."""
        device = os.environ.get("AI2TEXT_EMBEDDER_DEVICE") or "cpu"
        self._encoder = load(os.environ["AI2TEXT_EMBEDDER_MODEL"], device)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answers one batch, in order. All its texts go through the model sorted by length, a few at a time."""
        texts: list[str] = []
        pairs: list[tuple[str, str]] = []
        places: list[tuple[str, slice] | UnusableRequest] = []
        for request in requests:
            try:
                asked = self._asked(request)
            except UnusableRequest as fault:
                places.append(fault)
            else:
                rows, name = (texts, "EMBEDDING") if isinstance(asked[0], str) else (pairs, "CLOSENESS")
                places.append((name, slice(len(rows), len(rows) + len(asked))))
                rows += asked
        made = {"EMBEDDING": self._vectors(texts), "CLOSENESS": self._closeness(pairs)}
        return [
            _refusal(place) if isinstance(place, UnusableRequest) else _response(place[0], made[place[0]][place[1]])
            for place in places
        ]

    def _asked(self, request: Any) -> Any:
        """Of each row the dressed text; where there are questions, with its question."""
        texts = self._dressed(request, "TEXT", _strings(request, "KIND"))
        if pb_utils.get_input_tensor_by_name(request, "QUERY") is None:
            return texts
        return list(zip(self._dressed(request, "QUERY", [QUERY] * len(texts)), texts, strict=True))

    def _dressed(self, request: Any, name: str, kinds: list[str]) -> list[str]:
        return [dressed(one, of, self._encoder.prompts) for one, of in zip(_strings(request, name), kinds, strict=True)]

    def _vectors(self, texts: list[str]) -> NDArray[np.float32]:
        return self._encoder.vectors(texts) if texts else np.empty((0, 0), np.float32)

    def _closeness(self, pairs: list[tuple[str, str]]) -> NDArray[np.float32]:
        return self._encoder.closeness(pairs)[:, None] if pairs else np.empty((0, 1), np.float32)


def _strings(request: Any, name: str) -> list[str]:
    return [_unicode(value) for value in pb_utils.get_input_tensor_by_name(request, name).as_numpy().reshape(-1)]


def _unicode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise UnusableRequest("TEXT, KIND and QUERY must be UTF-8") from None


def _response(name: str, rows: NDArray[np.float32]) -> Any:
    return pb_utils.InferenceResponse([pb_utils.Tensor(name, rows)])


def _refusal(fault: UnusableRequest) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(fault), pb_utils.TritonError.INVALID_ARG))
