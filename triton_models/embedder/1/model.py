"""A sentence-transformers model behind Triton: texts in, unit vectors out, or how close each text is to a question.

Inputs, one text a request or up to 32:

    TEXT   STRING [1]  UTF-8; what goes beyond the model's longest input is left out
    KIND   STRING [1]  `query` for what is asked, `passage` (or "") for what is searched: which prompt goes before TEXT
    QUERY  STRING [1]  optional: a question that TEXT, a passage, is compared with

Outputs:

    EMBEDDING  FP32 [d]  of length 1; d is 384 for multilingual-e5-small. For a request without QUERY.
    CLOSENESS  FP32 [1]  -1 to 1; see `encoder`. For a request with QUERY.
"""

import gc
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

import roots  # noqa: F401 - before the others

# isort: split
from encoder import load
from prompts import QUERY, UnusableRequest, dressed


class Texts(list[str]):
    """The dressed texts of a request."""


class Passages(Texts):
    """Of one in which there is no question."""


class Pairs(list[tuple[str, str]]):
    """The dressed questions of a request, each with its dressed text."""


Asked: TypeAlias = Texts | Pairs | UnusableRequest


class TritonPythonModel:
    """One instance: one model in memory. Passages go beside what people wait for, and make way for it."""

    def initialize(self, args: dict[str, str]) -> None:
        """Loads AI2TEXT_EMBEDDER_MODEL, a sentence-transformers folder, on AI2TEXT_EMBEDDER_DEVICE (default: cpu)."""
        device = os.environ.get("AI2TEXT_EMBEDDER_DEVICE") or "cpu"
        self._encoder = load(os.environ["AI2TEXT_EMBEDDER_MODEL"], device)
        self._passages = ThreadPoolExecutor(1, "passages")
        gc.collect()
        gc.freeze()  # what there is by now stays: to look through it for cycles would stop all work for a while

    def execute(self, requests: list[Any]) -> list[Any] | None:
        """Answers one batch, in order; what of it is passages only, and so can wait, some time later."""
        asked = [self._asked(request) for request in requests]
        patient = [self._encoder.many_at_once and isinstance(one, Passages) for one in asked]
        if not any(patient):
            return self._answers(asked)
        turns = [(request.get_response_sender(), one) for request, one in zip(requests, asked, strict=True)]
        late = [turn for turn, waits in zip(turns, patient, strict=True) if waits]
        self._passages.submit(self._send, late, patient=True)
        self._send([turn for turn, waits in zip(turns, patient, strict=True) if not waits])
        return None

    def finalize(self) -> None:
        """Answers what waits still."""
        self._passages.shutdown()

    def _send(self, turns: list[tuple[Any, Asked]], patient: bool = False) -> None:
        """Answers each by its sender: an error, too, for nobody else hears of it."""
        try:
            answers = self._answers([asked for _, asked in turns], patient)
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers wait for an answer
            answers = [pb_utils.InferenceResponse(error=pb_utils.TritonError(repr(error))) for _ in turns]
        for (sender, _), answer in zip(turns, answers, strict=True):
            sender.send(answer, pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def _answers(self, asked: list[Asked], patient: bool = False) -> list[Any]:
        """All texts go through the model sorted by length, a few at a time."""
        texts: list[str] = []
        pairs: list[tuple[str, str]] = []
        places: list[tuple[str, slice] | UnusableRequest] = []
        for one in asked:
            if isinstance(one, UnusableRequest):
                places.append(one)
            elif isinstance(one, Pairs):
                places.append(("CLOSENESS", slice(len(pairs), len(pairs) + len(one))))
                pairs += one
            else:
                places.append(("EMBEDDING", slice(len(texts), len(texts) + len(one))))
                texts += one
        made = {"EMBEDDING": self._vectors(texts, patient), "CLOSENESS": self._closeness(pairs)}
        return [
            _refusal(place) if isinstance(place, UnusableRequest) else _response(place[0], made[place[0]][place[1]])
            for place in places
        ]

    def _asked(self, request: Any) -> Asked:
        """Of each row the dressed text; where there are questions, with its question."""
        try:
            kinds = _strings(request, "KIND")
            texts = self._dressed(request, "TEXT", kinds)
            if pb_utils.get_input_tensor_by_name(request, "QUERY") is not None:
                return Pairs(zip(self._dressed(request, "QUERY", [QUERY] * len(texts)), texts, strict=True))
            return Texts(texts) if QUERY in kinds else Passages(texts)
        except UnusableRequest as fault:
            return fault

    def _dressed(self, request: Any, name: str, kinds: list[str]) -> list[str]:
        return [dressed(one, of, self._encoder.prompts) for one, of in zip(_strings(request, name), kinds, strict=True)]

    def _vectors(self, texts: list[str], patient: bool) -> NDArray[np.float32]:
        return self._encoder.vectors(texts, patient) if texts else np.empty((0, 0), np.float32)

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
