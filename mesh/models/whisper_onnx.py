"""A Whisper and its cuts as a folder for ONNX Runtime, which on a CPU decodes twice as fast as CTranslate2.

encoder.onnx, tail.npz      see whisper_networks.py and whisper_tail.py
about.json                  `multilingual`, and `mel`, what faster-whisper's feature extractor is made with
whole/, vi/, en/ ...        decoder.onnx and tokenizer.json of the whole model, and of each of its cuts; decoder.npz,
                            which computes the same by itself where the processor allows (see whisper_eight_bits.py)
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from mesh.models import speech
from mesh.models.whisper_cut import FEWEST_MULTILINGUAL
from mesh.models.whisper_weights import Whisper

WHOLE = "whole"
_MEL = ("feature_size", "sampling_rate", "hop_length", "chunk_length", "n_fft")


def name(model: str) -> str:
    """The folder that is made of the model `model`."""
    return f"{model}-onnx"


def recipe(model: str, cuts: Mapping[str, str]) -> str:
    """What the folder is made of; `model` and `cuts` are recipes of folders."""
    parts = " and ".join([model.strip(), *(cuts[language].strip() for language in sorted(cuts))])
    return f"onnx 3 of {parts}, tail 2 of {speech.AUDIOEVAL}\n"


def fill(model: Path, cuts: Mapping[str, Path], folder: Path, cache: Path) -> None:
    """Writes `model`, a faster-whisper folder, and its cuts by language into `folder`.

    Raises ModelError when the wheel of the tail's speech cannot be had, or when the model is of another form.
    """
    from faster_whisper.feature_extractor import FeatureExtractor  # here, as onnx, which Triton's environment has

    from mesh.models import whisper_eight_bits, whisper_tail
    from mesh.models.whisper_networks import decoder, encoder

    whisper = Whisper(model)
    (folder / "encoder.onnx").write_bytes(encoder(whisper))
    mel = {"feature_size": whisper.bands} | _preprocessor(model)
    multilingual = whisper.tokens >= FEWEST_MULTILINGUAL
    about = {"multilingual": multilingual, "mel": mel}
    (folder / "about.json").write_text(json.dumps(about) + "\n", encoding="utf-8")
    tail = whisper_tail.tail(folder / "encoder.onnx", FeatureExtractor(**mel), whisper_tail.speech(cache))
    np.savez(folder / "tail.npz", **cast("dict[str, Any]", tail))
    for part, source in {WHOLE: model, **cuts}.items():
        (folder / part).mkdir()
        network = Whisper(source)
        heads = alignment_heads(source, network.layers("decoder"), network.heads)
        (folder / part / "decoder.onnx").write_bytes(decoder(network, heads))
        np.savez(folder / part / "decoder.npz", **cast("dict[str, Any]", whisper_eight_bits.decoder(network, heads)))
        shutil.copy(source / "tokenizer.json", folder / part)


def _preprocessor(model: Path) -> dict[str, Any]:
    """What the model says of its feature extractor, where it says anything."""
    try:
        said = json.loads((model / "preprocessor_config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {name: said[name] for name in _MEL if name in said}


def alignment_heads(model: Path, layers: int, heads: int) -> list[tuple[int, int]]:
    """The heads whose attention tells when words are said: those that the model names, else the later half of all."""
    named = json.loads((model / "config.json").read_text(encoding="utf-8")).get("alignment_heads")
    default = [(layer, head) for layer in range(layers // 2, layers) for head in range(heads)]
    return sorted((int(layer), int(head)) for layer, head in named or default)
