"""The embedder's compiled loops, beside the same in numpy; and which encoder a folder gets."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers

import compiled_encoder
import encoder
from blocks import BLOCK, MOST, OUTPUTS, block_product, blocks
from compiled_encoder import CompiledEncoder

Floats = NDArray[np.float32]

HEADS, WIDTH, INNER, LAYERS, POSITIONS, EPSILON = 2, 64, 128, 2, 24, 1e-12
WORDS = ["<unk>", "mưa", "nắng", "gió", "Huế", "rain", "sun", "query:", "passage:"]

pytestmark = pytest.mark.skipif(not compiled_encoder.supported(), reason="this processor has no AVX2")


def numbers(random: np.random.Generator, *shape: int) -> dict[str, Any]:
    """A linear layer, or several, of weights in four bits."""
    *layers, outputs, inputs = shape
    return {
        "weight": random.integers(0, 16, shape, np.uint8),
        "scale": random.uniform(0.01, 0.03, (*layers, outputs, inputs // BLOCK)).astype(np.float16),
        "bias": (0.1 * random.normal(size=(*layers, outputs))).astype(np.float32),
    }


def dense(weight: NDArray[np.uint8], scale: Floats) -> Floats:
    """The same weights with a fraction."""
    return np.asarray((weight.astype(np.float32) - 8) * scale.astype(np.float32).repeat(BLOCK, axis=-1), np.float32)


def rounded(given: Floats) -> Floats:
    """Each block of a row in steps of a 127th of its largest."""
    parted = given.reshape(len(given), given.shape[1] // BLOCK, BLOCK)
    step = np.maximum(np.abs(parted).max(axis=2, keepdims=True), 1e-8) / MOST
    return np.asarray((np.rint(parted / step) * step).reshape(given.shape), np.float32)


@pytest.mark.parametrize("rows", [0, 1, 5, 6, 7, 13])
@pytest.mark.parametrize(("inputs", "outputs"), [(BLOCK, OUTPUTS), (3 * BLOCK, 5 * OUTPUTS)])
def test_a_product_gives_what_numpy_gives(rows: int, inputs: int, outputs: int) -> None:
    random = np.random.default_rng(rows)
    layers = numbers(random, 2, outputs, inputs)
    given = (random.normal(size=(rows, inputs)) * 10.0 ** random.integers(-3, 3, (rows, 1))).astype(np.float32)
    given[: rows // 2, :BLOCK] = 0  # a block of nothing has no largest
    out = np.full((rows + 1, outputs + 3), 7, np.float32)
    block_product(given, blocks(**layers), 1, out)
    wanted = rounded(given) @ dense(layers["weight"][1], layers["scale"][1]).T + layers["bias"][1]
    np.testing.assert_allclose(out[:rows, :outputs], wanted, rtol=1e-4, atol=1e-4 * (1 + np.abs(given).max(initial=0)))
    assert (out[rows:] == 7).all()
    assert (out[:, outputs:] == 7).all()


def test_the_largest_sums_have_room() -> None:
    weight = np.zeros((1, OUTPUTS, BLOCK), np.uint8)
    weight[:, 1::2] = 15
    linear = blocks(weight, np.ones((1, OUTPUTS, 1), np.float32), np.zeros((1, OUTPUTS), np.float32))
    out = np.empty((2, OUTPUTS), np.float32)
    block_product(np.array([[1.0], [-1.0]], np.float32).repeat(BLOCK, axis=1), linear, 0, out)
    np.testing.assert_allclose(out[0], [-8 * BLOCK, 7 * BLOCK] * (OUTPUTS // 2), rtol=1e-6)
    np.testing.assert_allclose(out[1], -out[0])


@pytest.fixture(scope="module")
def arrays() -> dict[str, Any]:
    random = np.random.default_rng(5)
    sizes = {"all_three": (3 * WIDTH, WIDTH), "told": (WIDTH, WIDTH), "wide": (INNER, WIDTH), "narrow": (WIDTH, INNER)}
    made: dict[str, Any] = {
        f"{name}.{part}": values
        for name, size in sizes.items()
        for part, values in numbers(random, LAYERS, *size).items()
    }
    norms = random.normal(size=(LAYERS, 2, 2, WIDTH)) * 0.2 + np.array([1.0, 0.0])[:, np.newaxis]
    return made | {
        "heads": np.array(HEADS),
        "epsilon": np.array(EPSILON, np.float32),
        "places": 0.02 * random.normal(size=(POSITIONS, WIDTH)).astype(np.float32),
        "norm": norms[0, 0].astype(np.float32),
        "norms": norms.astype(np.float32),
    }


@pytest.fixture(scope="module")
def words() -> dict[str, Any]:
    return numbers(np.random.default_rng(6), len(WORDS), WIDTH)


def written(folder: Path, arrays: dict[str, Any], words: dict[str, Any]) -> Path:
    """A model as mesh/models assembles it."""
    (folder / "compiled").mkdir(parents=True)
    np.savez(folder / "compiled" / "layers.npz", **arrays)
    np.save(folder / "compiled" / "words.npy", words["weight"])
    np.save(folder / "compiled" / "words_scale.npy", words["scale"])
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token=WORDS[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": POSITIONS}))
    prompts = {"query": "query: ", "passage": "passage: "}
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts}))
    return folder


@pytest.fixture(scope="module")
def folder(arrays: dict[str, Any], words: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("models") / "small", arrays, words)


@pytest.fixture(scope="module")
def small(folder: Path) -> CompiledEncoder:
    return CompiledEncoder(folder, threads=2)


def reference(text: str, arrays: dict[str, Any], words: dict[str, Any]) -> Floats:
    """A BERT in numpy: the vectors of a text's tokens."""
    ids = [WORDS.index(word) if word in WORDS else 0 for word in text.split()][:POSITIONS]

    def norm(given: Floats, by: Floats) -> Floats:
        centred = given - given.mean(axis=1, keepdims=True)
        return np.asarray(centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + EPSILON) * by[0] + by[1])

    def linear(given: Floats, name: str, layer: int) -> Floats:
        weight, scale, bias = (arrays[f"{name}.{part}"][layer] for part in ("weight", "scale", "bias"))
        return np.asarray(given @ dense(weight, scale).T + bias)

    states = norm(dense(words["weight"], words["scale"])[ids] + arrays["places"][: len(ids)], arrays["norm"])
    for layer in range(LAYERS):
        norms = arrays["norms"][layer]
        parts = linear(states, "all_three", layer).reshape(len(ids), 3, HEADS, -1).transpose(1, 2, 0, 3)
        logits = parts[0] @ parts[1].swapaxes(1, 2) / math.sqrt(WIDTH / HEADS)
        powers = np.exp(logits - logits.max(axis=2, keepdims=True))
        heard = powers / powers.sum(axis=2, keepdims=True) @ parts[2]
        states = norm(states + linear(heard.swapaxes(0, 1).reshape(len(ids), -1), "told", layer), norms[0])
        wide = linear(states, "wide", layer)
        wide = wide * 0.5 * (1 + np.vectorize(math.erf)(wide / math.sqrt(2)))
        states = norm(states + linear(wide, "narrow", layer), norms[1])
    return states


def unit(states: Floats) -> Floats:
    return np.asarray(states / np.linalg.norm(states, axis=-1, keepdims=True))


TEXTS = ["mưa", "nắng gió Huế mưa nắng", "mưa Huế", "rain sun mưa " * 6, "gió " * (POSITIONS + 9), "sun gió"]


def test_vectors_are_those_of_the_same_model_in_numpy(
    small: CompiledEncoder, arrays: dict[str, Any], words: dict[str, Any]
) -> None:
    texts = [f"{text} {more}".strip() for more in ("", "mưa", "rain") for text in TEXTS]  # more than one batch
    found = small.vectors(texts)
    wanted = np.stack([unit(reference(text, arrays, words).mean(axis=0)) for text in texts])
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)
    assert (found * wanted).sum(axis=1).min() > 0.9995
    assert (found @ found.T)[np.triu_indices(6, 1)].max() < 0.98  # or any vector would have passed


@pytest.mark.parametrize("patient", [False, True])
def test_a_vector_does_not_depend_on_its_company(small: CompiledEncoder, patient: bool) -> None:
    together = small.vectors(TEXTS * 2, patient)
    for place, text in enumerate(TEXTS * 2):
        np.testing.assert_array_equal(small.vectors([text])[0], together[place])


def test_a_text_without_tokens_has_no_direction(small: CompiledEncoder) -> None:
    found = small.vectors(["", "mưa"])
    assert not found[0].any()
    np.testing.assert_array_equal(found[1], small.vectors(["mưa"])[0])


def test_closeness_is_the_mean_of_the_best_cosines(
    small: CompiledEncoder, arrays: dict[str, Any], words: dict[str, Any]
) -> None:
    pairs = [("mưa Huế", "nắng gió Huế"), ("rain", "rain"), ("mưa Huế", "sun")]
    tokens = [[unit(reference(text, arrays, words)) for text in pair] for pair in pairs]
    wanted = [(asked @ known.T).max(axis=1).mean() for asked, known in tokens]
    found = small.closeness(pairs)
    np.testing.assert_allclose(found, wanted, atol=0.01)
    assert found[1] == pytest.approx(1, abs=1e-5)


def test_heads_of_another_width_are_refused(arrays: dict[str, Any], words: dict[str, Any], tmp_path: Path) -> None:
    narrow = written(tmp_path / "narrow", arrays | {"heads": np.array(WIDTH // 4)}, words)
    with pytest.raises(ValueError, match="numbers wide, not 4"):
        CompiledEncoder(narrow, threads=1)


def test_a_folder_gets_the_first_encoder_that_can(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(encoder.load(str(folder), "cpu"), CompiledEncoder)
    monkeypatch.setenv(encoder.BACKEND, "compiled")
    assert isinstance(encoder.load(str(folder), "cpu"), CompiledEncoder)


@pytest.mark.parametrize(
    ("named", "device", "reason"),
    [
        ("compiled", "cuda", "not for .*small on cuda of this machine"),
        ("onnx", "cpu", "not for .*small on cpu of this machine"),  # nothing is exported there
        ("tensorrt", "cpu", "there are compiled, onnx, torch"),
    ],
)
def test_what_cannot_be_is_refused(
    folder: Path, named: str, device: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(encoder.BACKEND, named)
    with pytest.raises(ValueError, match=f"{encoder.BACKEND}={named}: {reason}"):
        encoder.load(str(folder), device)


def test_where_nothing_was_written_for_loops_others_do_it(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Path, str]] = []

    def torch(folder: Path, device: str, threads: int) -> Any:
        asked.append((folder, device))
        return "in PyTorch"

    monkeypatch.setitem(encoder._LOADERS, "torch", torch)
    assert encoder.load(str(tmp_path), "cpu") == "in PyTorch"
    assert encoder.load(str(folder), "cuda") == "in PyTorch"
    assert asked == [(tmp_path, "cpu"), (folder, "cuda")]


def test_texts_are_given_back_in_their_order(small: CompiledEncoder) -> None:
    texts: Sequence[str] = [" ".join(WORDS[1 : 2 + place % 6]) for place in range(20)]
    found = small.vectors(texts)
    assert all(np.array_equal(found[place], found[place % 6]) for place in range(20))
