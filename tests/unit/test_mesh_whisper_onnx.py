"""What the networks for ONNX Runtime are made of: weights of several types, alignment heads, recipes."""

import json
from pathlib import Path

import numpy as np
import pytest

from mesh.models import ctranslate2_weights, whisper_onnx
from mesh.models.ctranslate2_weights import Variable, Weights
from mesh.models.wheels import ModelError
from mesh.models.whisper_weights import Whisper

EMBEDDINGS = np.array([[1, -2, 0, 4], [0.5, 0, 0.25, -0.5], [3, 3, 3, 3]], np.float32)


def variable(name: str, values: np.ndarray, kind: int) -> Variable:
    return Variable(name, values.shape, kind, values.tobytes())


def written(folder: Path, *more: Variable, embeddings: bool = True) -> Path:
    """A folder with the smallest Whisper that there is."""
    known = [
        variable("encoder/conv1/weight", np.zeros((4, 80, 3), np.float16), 4),
        variable("decoder/num_heads", np.array(2, np.int16), 2),
        variable("decoder/layer_0/ffn/linear_0/bias", np.arange(4, dtype=np.float16), 4),
        variable("decoder/layer_11/ffn/linear_0/bias", np.arange(4, dtype=np.float32), 0),
        variable("decoder/layer_norm/beta", np.arange(4, dtype=np.float32), 0),
    ]
    if embeddings:
        known.append(variable("decoder/embeddings/weight", EMBEDDINGS.astype(np.float16), 4))
    ctranslate2_weights.write(Weights("WhisperSpec", 3, [*known, *more], []), folder / "model.bin")
    return folder


def test_sizes_are_those_of_the_weights(tmp_path: Path) -> None:
    whisper = Whisper(written(tmp_path))
    assert (whisper.tokens, whisper.width, whisper.bands, whisper.heads, whisper.per_head) == (3, 4, 80, 2, 2)
    assert whisper.layers("decoder") == 12
    assert whisper["decoder/embeddings/weight"].tolist() == EMBEDDINGS.tolist()
    assert whisper["decoder/embeddings/weight"].dtype == np.float32


@pytest.mark.parametrize("kind", [1, 2])
def test_weights_in_integers_are_scaled_back(tmp_path: Path, kind: int) -> None:
    scale = np.array([31.75, 254, 42], np.float32) if kind == 1 else np.array(1000, np.float32)
    rounded = np.rint(EMBEDDINGS * (scale[:, None] if scale.ndim else scale)).astype(np.int8 if kind == 1 else np.int16)
    name = "decoder/embeddings/weight"
    more = (variable(name, rounded, kind), variable(f"{name}_scale", scale, 0))
    whisper = Whisper(written(tmp_path, *more, embeddings=False))
    assert whisper[name] == pytest.approx(EMBEDDINGS, abs=0.02)


def test_a_model_of_another_kind_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no Whisper"):
        Whisper(written(tmp_path, embeddings=False))
    halves = variable("decoder/embeddings/weight", np.zeros((3, 4), np.int16), 5)
    with pytest.raises(ModelError, match="type 5"):
        Whisper(written(tmp_path, halves, embeddings=False))


def test_the_heads_that_tell_times_are_named_by_the_model_or_those_of_its_later_half(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"alignment_heads": [[3, 1], [1, 0]]}))
    assert whisper_onnx.alignment_heads(tmp_path, layers=4, heads=2) == [(1, 0), (3, 1)]
    config.write_text("{}")
    assert whisper_onnx.alignment_heads(tmp_path, layers=4, heads=2) == [(2, 0), (2, 1), (3, 0), (3, 1)]


def test_another_cut_means_to_make_it_anew() -> None:
    assert whisper_onnx.name("own") == "own-onnx"
    recipes = {
        whisper_onnx.recipe("own", cuts) for cuts in ({}, {"vi": "one"}, {"vi": "two"}, {"vi": "one", "en": "1"})
    }
    assert len(recipes) == 4
    assert whisper_onnx.recipe("own", {"en": "1", "vi": "2"}) == whisper_onnx.recipe("own\n", {"vi": "2", "en": "1"})
