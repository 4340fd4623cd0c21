"""Whisper behind Triton: tensors in, tensors out. The work is done in `onnx_recogniser` or `recogniser`.

Inputs, one clip a request (Triton makes the batches, for live speech on a CPU `continuous` does):

    AUDIO       FP32 [n]   mono, 16 kHz, in [-1, 1], at most 30 s
    LANGUAGE    STRING [1] a Whisper code such as `vi`, or several, `vi,en`, of which the likeliest is taken; absent or
                           "": any
    CONTEXT     STRING [1] the text spoken before; absent or "": none
    HOTWORDS    STRING [1] terms that may be spoken, commas or line ends between them; absent or "": none
    DRAFT       STRING [1] what was heard of the clip's beginning before: without a beam, in ONNX Runtime, it is written
                           again only from where it does not hold any more; absent or "": nothing
    BEAM_SIZE   INT32 [1]  1 to 10; absent or 0: 1. Slower, with fewer errors

Outputs: TEXT, TOKENS (ids of the model that decoded; a cut has its own), TOKEN_LOGPROBS, AVG_LOGPROB, NO_SPEECH_PROB,
COMPRESSION_RATIO, LANGUAGE, LANGUAGE_PROB (among the languages that LANGUAGE allows), WORDS, WORD_START and WORD_END
(seconds from the start of AUDIO), WORD_PROB, CONTEXT_SECONDS (what the encoder was given), INFERENCE_SECONDS (how long
it took), WORKED_SECONDS (this clip's share of what was done at the same time for several).

A request that cannot be served is answered by an error of its own, which the caller sees as INVALID_ARGUMENT or
INTERNAL; the others of its batch are not touched.
"""

import gc
import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import triton_python_backend_utils as pb_utils
from faster_whisper import WhisperModel
from numpy.typing import NDArray

import roots  # noqa: F401 - before the others

# isort: split
import onnx_whisper
import vectors
from continuous import QueueFull, Spent, Workers
from decoder import Decoder
from jobs import GivenUp, Hypothesis, Job
from onnx_recogniser import ByCare, OnnxRecogniser, Recognises
from recogniser import Recogniser
from vocabulary import Vocabulary
from waveform import UnusableRequest

BACKGROUND, BATCH = "-background", "-batch"
TOGETHER_ON_GPU = 32
A_LITTLE_WAY = 5
"""The niceness of live inference: it lasts a hundred times longer than what servers do for a message."""
THREADS_OF_BATCH = 2
WORKERS = 2
"""Threads of live inference on a CPU."""
TOGETHER, TOGETHER_COMPILED = 2, 1
"""How many clips each has in work. In ONNX Runtime a pass for two takes hardly longer than one; in compiled loops it
does, and a clip is done sooner by itself."""


class TritonPythonModel:
    """One instance: its models in memory, one batch at a time."""

    def initialize(self, args: dict[str, str]) -> None:
        """Loads AI2TEXT_WHISPER_ONNX, a folder that mesh/models/whisper_onnx.py made, for live speech on a CPU.
        AI2TEXT_WHISPER_INSTANCES threads (2) work with it, each at up to AI2TEXT_WHISPER_BATCH_SIZE clips at a time (1,
        or 2 where the decoder is not compiled), as they come: see `continuous`. AI2TEXT_WHISPER_INSTRUCTIONS names what
        the decoder's loops take instead of the best that the processor has, or `none`: see `vectors`.

        Recordings, of which many clips are decoded at a time, refinements, which are to be right, GPUs, and Whispers
        without such a folder take CTranslate2 with AI2TEXT_WHISPER_MODEL, a faster-whisper folder. What live speech has
        to be decoded by it, too, goes through AI2TEXT_WHISPER_CUTS, folders that were cut from it (see
        mesh/models/whisper_cut.py) with `:` between them; where it does not, all words are there.
        Instances of `whisper-background` and `whisper-batch` make way on the CPU for all others (SCHED_IDLE), those of
        `whisper` for what is short: streams, voice detection, the edge."""
        name = args["model_name"]
        if name.endswith((BACKGROUND, BATCH)):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # before there are threads, which inherit it
        else:
            os.nice(A_LITTLE_WAY)
        gpu = int(args["model_instance_device_id"]) if args["model_instance_kind"] == "GPU" else None
        exported = os.environ.get("AI2TEXT_WHISPER_ONNX", "")
        self._recogniser: Recognises
        self._workers: Workers[Hypothesis] | None = None
        if gpu is not None or not exported:
            cuts = os.environ.get("AI2TEXT_WHISPER_CUTS", "").split(":")
            self._recogniser = _on_ctranslate2(gpu, _threads(name), [folder for folder in cuts if folder])
        elif name.endswith(BATCH):
            self._recogniser = _on_ctranslate2(gpu, _threads(name))
        else:
            onnx = self._recogniser = OnnxRecogniser(*onnx_whisper.load(Path(exported), _threads(name)))
            if name.endswith(BACKGROUND):
                self._recogniser = ByCare(onnx, _on_ctranslate2(gpu, _threads(name)))
            else:
                self._hearing = onnx.hearing
                workers = int(os.environ.get("AI2TEXT_WHISPER_INSTANCES") or WORKERS)
                together = TOGETHER_COMPILED if vectors.supported() else TOGETHER
                self._workers = Workers(workers, int(os.environ.get("AI2TEXT_WHISPER_BATCH_SIZE") or together))
        gc.collect()
        gc.freeze()  # what there is by now stays: to look through it for cycles would stop all work for a while

    def finalize(self) -> None:
        """Answers what was taken."""
        if self._workers is not None:
            self._workers.stop()

    def execute(self, requests: list[Any]) -> list[Any] | None:
        """Answers one batch, in order, or each request when it is done. Requests that their callers have given up are
        not worked on."""
        if self._workers is not None:
            for request in requests:
                self._take(self._workers, request)
            return None
        began = time.perf_counter()
        awaited = [request for request in requests if not request.is_cancelled()]
        answers = iter(self._recogniser.recognise([_job(request) for request in awaited]))
        seconds = time.perf_counter() - began
        spent = Spent(seconds, seconds / max(1, len(awaited)))
        return [_response(next(answers), spent) if request in awaited else _given_up() for request in requests]

    def _take(self, workers: "Workers[Hypothesis]", request: Any) -> None:
        sender = request.get_response_sender()

        def answer(outcome: Hypothesis | Exception, spent: Spent) -> None:
            try:
                sender.send(_response(outcome, spent), pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
            except Exception as fault:  # noqa: BLE001 - one answer is lost; the thread has other clips in work
                pb_utils.Logger.log_error(f"whisper could not answer: {fault!r}")

        try:
            workers.take(self._hearing(_job(request)), answer)
        except QueueFull:
            error = pb_utils.TritonError("too many clips wait", pb_utils.TritonError.UNAVAILABLE)
            sender.send(pb_utils.InferenceResponse(error=error), pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)


def _threads(model: str) -> int:
    """A second thread makes the beam of one clip slower, and that of many at once faster."""
    if model.endswith(BATCH):
        return int(os.environ.get("AI2TEXT_WHISPER_BATCH_THREADS") or THREADS_OF_BATCH)
    return int(os.environ.get("AI2TEXT_WHISPER_THREADS") or 1)


def _on_ctranslate2(gpu: int | None, threads: int, cuts: Sequence[str] = ()) -> Recogniser:
    load = partial(
        WhisperModel,
        device="cpu" if gpu is None else "cuda",
        device_index=gpu or 0,
        compute_type=os.environ.get("AI2TEXT_WHISPER_COMPUTE_TYPE") or ("int8" if gpu is None else "float16"),
        cpu_threads=threads,
        local_files_only=True,
    )
    whisper = load(os.environ["AI2TEXT_WHISPER_MODEL"])
    multilingual = whisper.model.is_multilingual
    return Recogniser(
        whisper.model,
        full=_decoder(whisper, multilingual),
        cuts=[_decoder(load(folder), multilingual) for folder in cuts],
        mel=whisper.feature_extractor,
        to_view=_view,
        encoded_together=1 if gpu is None else TOGETHER_ON_GPU,
    )


def _decoder(whisper: WhisperModel, multilingual: bool) -> Decoder:
    return Decoder(whisper.model, Vocabulary(whisper.hf_tokenizer, multilingual=multilingual), _view)


def _view(array: NDArray[np.float32]) -> ctranslate2.StorageView:
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(array))


def _job(request: Any) -> Job:
    def first(name: str, absent: Any) -> Any:
        tensor = pb_utils.get_input_tensor_by_name(request, name)
        return absent if tensor is None else tensor.as_numpy().reshape(-1)[0]

    audio = pb_utils.get_input_tensor_by_name(request, "AUDIO").as_numpy()
    return Job(
        samples=(audio[0] if audio.shape[0] == 1 else audio).copy(),  # the request's memory may go before it is read
        language=first("LANGUAGE", b"").decode(errors="replace"),
        previous_text=first("CONTEXT", b"").decode(errors="replace"),
        beam_size=int(first("BEAM_SIZE", 0)) or 1,
        hotwords=first("HOTWORDS", b"").decode(errors="replace"),
        draft=first("DRAFT", b"").decode(errors="replace"),
        given_up=request.is_cancelled,
    )


def _given_up() -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError("the caller has gone", pb_utils.TritonError.CANCELLED))


def _response(answer: Hypothesis | Exception, spent: Spent) -> Any:
    if isinstance(answer, UnusableRequest):
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(answer), pb_utils.TritonError.INVALID_ARG))
    if isinstance(answer, GivenUp):
        return _given_up()
    if isinstance(answer, Exception):
        pb_utils.Logger.log_error(f"whisper failed: {answer!r}")
        return pb_utils.InferenceResponse(error=pb_utils.TritonError("whisper failed", pb_utils.TritonError.INTERNAL))
    times = {"INFERENCE_SECONDS": spent.took, "WORKED_SECONDS": spent.worked}
    rows = _rows(answer) | {name: np.array([value], np.float32) for name, value in times.items()}
    return pb_utils.InferenceResponse([pb_utils.Tensor(name, row[np.newaxis]) for name, row in rows.items()])


def _rows(heard: Hypothesis) -> dict[str, NDArray[Any]]:
    def floats(*values: float) -> NDArray[np.float32]:
        return np.array(values, np.float32)

    def strings(*values: str) -> NDArray[np.object_]:
        return np.array([value.encode() for value in values], np.object_)

    return {
        "TEXT": strings(heard.text),
        "TOKENS": np.array(heard.tokens, np.int32),
        "TOKEN_LOGPROBS": floats(*heard.token_logprobs),
        "AVG_LOGPROB": floats(heard.avg_logprob),
        "NO_SPEECH_PROB": floats(heard.no_speech_prob),
        "COMPRESSION_RATIO": floats(heard.compression_ratio),
        "LANGUAGE": strings(heard.language),
        "LANGUAGE_PROB": floats(heard.language_prob),
        "WORDS": strings(*(word.text for word in heard.words)),
        "WORD_START": floats(*(word.start for word in heard.words)),
        "WORD_END": floats(*(word.end for word in heard.words)),
        "WORD_PROB": floats(*(word.probability for word in heard.words)),
        "CONTEXT_SECONDS": np.array([heard.context_seconds], np.int32),
    }
