"""A sentence-transformers model behind Triton: texts in, unit vectors out.

Inputs, one text a request or up to 32:

    TEXT  STRING [1]  UTF-8; what goes beyond the model's longest input is left out
    KIND  STRING [1]  `query` for what is asked, `passage` (or "") for what is searched: which prompt goes before TEXT

Output: EMBEDDING FP32 [d], of length 1; d is 384 for multilingual-e5-small.
"""

import os
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from encoder import load
from prompts import UnusableRequest, dressed


class TritonPythonModel:
    """One instance: one model in memory, one batch at a time."""

    def initialize(self, args: dict[str, str]) -> None:
        """Loads AI2TEXT_EMBEDDER_MODEL, a sentence-transformers folder, on AI2TEXT_EMBEDDER_DEVICE (default: cpu)."""
        device = os.environ.get("AI2TEXT_EMBEDDER_DEVICE") or "cpu"
        self._encoder = load(os.environ["AI2TEXT_EMBEDDER_MODEL"], device)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answers one batch, in order. All its texts go through the model sorted by length, a few at a time."""
        texts: list[str] = []
        spans: list[slice | UnusableRequest] = []
        for request in requests:
            try:
                rows = self._dressed(request)
            except UnusableRequest as fault:
                spans.append(fault)
                continue
            spans.append(slice(len(texts), len(texts) + len(rows)))
            texts += rows
        vectors = self._vectors(texts)
        return [_response(span if isinstance(span, Exception) else vectors[span]) for span in spans]

    def _dressed(self, request: Any) -> list[str]:
        text, kind = (pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in ("TEXT", "KIND"))
        pairs = zip(text.reshape(-1), kind.reshape(-1), strict=True)
        return [dressed(_unicode(one), _unicode(of), self._encoder.prompts) for one, of in pairs]

    def _vectors(self, texts: list[str]) -> NDArray[np.float32]:
        return self._encoder.vectors(texts) if texts else np.empty((0, 0), np.float32)


def _unicode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise UnusableRequest("TEXT and KIND must be UTF-8") from None


def _response(answer: NDArray[np.float32] | UnusableRequest) -> Any:
    if isinstance(answer, UnusableRequest):
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(answer), pb_utils.TritonError.INVALID_ARG))
    return pb_utils.InferenceResponse([pb_utils.Tensor("EMBEDDING", answer)])
