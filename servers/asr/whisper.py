"""Whisper on Triton as the Recognizer of the domain; see triton_models/whisper/config.pbtxt for the tensors."""

import grpc
import numpy as np
from faster_whisper.tokenizer import _LANGUAGE_CODES

from servers.asr.recognition import Hypothesis, Request, Word
from servers.common.triton import Tensor, TritonModel, strings

LANGUAGES: frozenset[str] = frozenset(_LANGUAGE_CODES) - {"yue"}
"""The languages that every multilingual Whisper knows, ISO 639-1 or -3. Cantonese has a mark in large-v3 only; the
others would write something without being told the language."""


class TritonWhisper:
    """Beams in hypotheses; time-outs in seconds, waiting in the queue of Triton included. Refinements, for which nobody
    waits, take `refinement_beam`."""

    def __init__(self, channel: grpc.aio.Channel, final_beam: int, refinement_beam: int, timeout_s: float) -> None:
        self._model = TritonModel(channel, "whisper")
        self._background = TritonModel(channel, "whisper-background")
        self._final_beam = final_beam
        self._refinement_beam = refinement_beam
        self._timeout_s = timeout_s

    async def check(self) -> None:
        """See Recognizer."""
        await self._model.check()

    async def recognize(self, request: Request) -> Hypothesis:
        """See Recognizer."""
        model = self._background if request.background else self._model
        return hypothesis(await model.infer(inputs(request, self._beam(request)), self._timeout_s))

    def _beam(self, request: Request) -> int:
        if not request.careful:
            return 1
        return self._refinement_beam if request.background else self._final_beam


def inputs(request: Request, beam: int) -> dict[str, Tensor]:
    """The tensors that ask. Every input is always sent: Triton batches only requests with the same inputs."""
    return {
        "AUDIO": request.audio[None, :],
        "LANGUAGE": strings(request.language),
        "CONTEXT": strings(request.context),
        "HOTWORDS": strings(request.hotwords),
        "DRAFT": strings(request.draft),
        "BEAM_SIZE": np.array([[beam]], np.int32),
    }


def hypothesis(outputs: dict[str, Tensor]) -> Hypothesis:
    """What the tensors of an answer say."""
    columns = (outputs[name][0] for name in ("WORDS", "WORD_START", "WORD_END", "WORD_PROB"))
    return Hypothesis(
        text=outputs["TEXT"][0, 0],
        language=outputs["LANGUAGE"][0, 0],
        words=tuple(Word(str(text), float(s), float(e), float(p)) for text, s, e, p in zip(*columns, strict=True)),
        avg_logprob=float(outputs["AVG_LOGPROB"][0, 0]),
        no_speech_probability=float(outputs["NO_SPEECH_PROB"][0, 0]),
        compression_ratio=float(outputs["COMPRESSION_RATIO"][0, 0]),
        inference_s=float(outputs["INFERENCE_SECONDS"][0, 0]),
        worked_s=float(outputs["WORKED_SECONDS"][0, 0]),
    )
