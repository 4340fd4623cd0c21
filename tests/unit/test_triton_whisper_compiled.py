"""Whisper's decoder in compiled loops, beside the same in numpy: every number that a pass gives, on random weights."""

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arithmetic
import vectors
from arithmetic import Floats
from compiled_network import CLIPS, CompiledNetwork
from mesh.models import whisper_eight_bits

HEADS, PER_HEAD, LAYERS, TOKENS = 2, 64, 2, 75
WIDTH = HEADS * PER_HEAD
ALIGNING = [(0, 1), (1, 0), (1, 1)]
HIDDEN = -np.inf

pytestmark = pytest.mark.skipif(not vectors.supported(), reason="this processor has neither AVX-512 VNNI nor AVX2")


class Weights(dict[str, Floats]):
    """Random weights of a small Whisper, by CTranslate2's names."""

    tokens, width, heads = TOKENS, WIDTH, HEADS

    def __init__(self, random: np.random.Generator) -> None:
        def put(name: str, *shape: int, scale: float = 1.0) -> None:
            self[name] = (random.normal(size=shape) * scale).astype(np.float32)

        put("decoder/embeddings/weight", TOKENS, WIDTH)
        put("decoder/position_encodings/encodings", 20, WIDTH)
        put("decoder/layer_norm/gamma", WIDTH)
        put("decoder/layer_norm/beta", WIDTH)
        sizes = {"all_three": (3, 1), "wide": (4, 1), "narrow": (1, 4)}
        for layer in range(LAYERS):
            for norm in whisper_eight_bits.NORMS:
                put(f"decoder/layer_{layer}/{norm}/gamma", WIDTH)
                put(f"decoder/layer_{layer}/{norm}/beta", WIDTH)
            for name, part in whisper_eight_bits.LINEAR.items():
                outputs, inputs = sizes.get(name, (1, 1))
                put(f"decoder/layer_{layer}/{part}/weight", outputs * WIDTH, inputs * WIDTH, scale=0.1)
                put(f"decoder/layer_{layer}/{part}/bias", outputs * WIDTH)

    def layers(self, side: str) -> int:
        return LAYERS


@pytest.fixture(scope="module")
def arrays() -> dict[str, Any]:
    weights: Any = Weights(np.random.default_rng(1))
    return whisper_eight_bits.decoder(weights, ALIGNING)


@pytest.fixture(scope="module")
def network(arrays: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> CompiledNetwork:
    path = tmp_path_factory.mktemp("whisper") / "decoder.npz"
    np.savez(path, **arrays)
    return CompiledNetwork(path)


def softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


class Reference:
    """A pass as whisper_networks.py describes it, in numpy."""

    def __init__(self, arrays: dict[str, Any]) -> None:
        self._arrays = arrays

    def run(self, given: dict[str, Any]) -> dict[str, Any]:
        arrays = self._arrays
        texts, new = given["tokens"].shape
        out: dict[str, Any] = {f"attention.{clip}": [] for clip in range(CLIPS)}
        found = arrays["words"][given["tokens"]].astype(np.float32) + arrays["places"][given["places"]]
        found = found.reshape(-1, WIDTH)
        for layer in range(LAYERS):
            norms = arrays["norms"][layer]
            parts = self._linear(self._norm(found, norms[0]), "all_three", layer).reshape(texts, new, 3, HEADS, -1)
            queries, keys, values = parts.transpose(2, 0, 3, 1, 4)
            keys = np.concatenate([given[f"past{2 * layer}"], keys], axis=2)
            values = np.concatenate([given[f"past{2 * layer + 1}"], values], axis=2)
            out |= {f"present{2 * layer}": keys, f"present{2 * layer + 1}": values}
            weights = softmax(queries @ keys.swapaxes(2, 3) / math.sqrt(PER_HEAD) + given["mask"])
            told = (weights @ values).swapaxes(1, 2).reshape(-1, WIDTH)
            found = found + self._linear(told, "remembered", layer)
            asked = self._linear(self._norm(found, norms[1]), "question", layer)
            told, first = [], 0
            for clip, share in enumerate(given["shares"]):
                own = asked[first : first + share].reshape(-1, HEADS, PER_HEAD).swapaxes(0, 1)
                logits = own @ given[f"keys{layer}.{clip}"] / math.sqrt(PER_HEAD) + given[f"bias.{clip}"]
                weights = softmax(logits) if share else logits
                out[f"attention.{clip}"] += [weights[head] for of, head in ALIGNING if of == layer]
                told.append((weights @ given[f"values{layer}.{clip}"]).swapaxes(0, 1).reshape(-1, WIDTH))
                first += share
            found = found + self._linear(np.concatenate(told), "heard", layer)
            wide = self._linear(self._norm(found, norms[2]), "wide", layer)
            wide = 0.5 * wide * (1 + np.vectorize(math.erf)(wide / math.sqrt(2)))
            found = found + self._linear(wide.astype(np.float32), "narrow", layer)
        chosen = self._norm(found[given["rows"]], arrays["last_norm"])
        logits = self._linear(chosen, "words", None) + given["banned"]
        chances = logits - np.log(np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True))
        chances -= logits.max(axis=1, keepdims=True)
        order = np.argsort(-chances, axis=1, kind="stable")[:, : given["count"][0]]
        out |= {"scores": np.take_along_axis(chances, order, axis=1), "likeliest": order}
        out["asked_scores"] = np.take_along_axis(chances, given["asked"], axis=1)
        return out

    def _linear(self, given: Floats, name: str, layer: int | None) -> Floats:
        weight, scale = self._arrays[f"{name}.weight"], self._arrays[f"{name}.scale"]
        bias = self._arrays.get(f"{name}.bias", np.zeros(len(weight)))
        if layer is not None:
            weight, scale, bias = weight[layer], scale[layer], bias[layer]
        steps = np.abs(given).max(axis=1, keepdims=True) / vectors.INSTRUCTIONS.most
        rounded = np.floor(given / steps + 0.5)
        return np.asarray((rounded @ weight.T.astype(np.float32)) * steps * scale + bias, np.float32)

    @staticmethod
    def _norm(given: Floats, norm: Floats) -> Floats:
        centred = given - given.mean(axis=1, keepdims=True)
        return np.asarray(centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5) * norm[0] + norm[1])


def a_pass(texts: int, new: int, before: int, shares: tuple[int, int], positions: tuple[int, int]) -> dict[str, Any]:
    """What goes in, at random."""
    random = np.random.default_rng(texts + 10 * new)

    def numbers(*shape: int) -> Floats:
        return random.normal(size=shape).astype(np.float32)

    mask = np.zeros((texts, 1, new, before + new), np.float32)
    mask[..., before:] = np.triu(np.full((new, new), HIDDEN), 1)
    mask[0, ..., : before // 2] = HIDDEN  # of a text that is shorter than the others
    banned = np.where(random.random((1, TOKENS)) < 0.5, HIDDEN, 0).astype(np.float32)
    banned[0, :3] = 0
    rows = np.arange(texts * new)[:: 2 if new > 1 else 1]
    given: dict[str, Any] = {
        "tokens": random.integers(0, TOKENS, (texts, new)),
        "places": np.arange(before, before + new)[np.newaxis].repeat(texts, axis=0),
        "mask": mask,
        "shares": np.array(shares),
        "rows": rows,
        "banned": banned,
        "count": np.array([6]),
        "asked": random.integers(0, TOKENS, (len(rows), 2)),
    }
    given |= {f"past{place}": numbers(texts, HEADS, before, PER_HEAD) for place in range(2 * LAYERS)}
    for clip, length in enumerate(positions):
        given[f"bias.{clip}"] = numbers(length)
        for layer in range(LAYERS):
            given[f"keys{layer}.{clip}"] = numbers(HEADS, PER_HEAD, length)
            given[f"values{layer}.{clip}"] = numbers(HEADS, length, PER_HEAD)
    return given


def named(network: CompiledNetwork, given: dict[str, Any]) -> dict[str, Any]:
    names = ["scores", "likeliest", "asked_scores", *(f"attention.{clip}" for clip in range(CLIPS))]
    return dict(
        zip([*names, *(f"present{place}" for place in range(2 * LAYERS))], network.run(None, given), strict=True)
    )


@pytest.mark.parametrize(
    ("texts", "new", "before", "shares", "positions"),
    [
        (1, 1, 0, (1, 0), (16, 1)),
        (3, 1, 5, (3, 0), (143, 1)),
        (5, 1, 4, (2, 3), (64, 37)),
        (9, 1, 6, (6, 3), (200, 130)),
        (1, 11, 0, (11, 0), (90, 1)),
        (1, 7, 3, (7, 0), (81, 1)),
    ],
)
def test_a_pass_gives_what_numpy_gives(
    network: CompiledNetwork,
    arrays: dict[str, Any],
    texts: int,
    new: int,
    before: int,
    shares: tuple[int, int],
    positions: tuple[int, int],
) -> None:
    given = a_pass(texts, new, before, shares, positions)
    found, wanted = named(network, given), Reference(arrays).run(given)
    # An integer that is rounded the other way changes what follows by a little.
    for place in range(2 * LAYERS):
        np.testing.assert_allclose(found[f"present{place}"], wanted[f"present{place}"], atol=0.1, rtol=0.02)
    for clip, share in enumerate(shares):
        assert found[f"attention.{clip}"].shape == (len(ALIGNING), share, positions[clip])
        np.testing.assert_allclose(found[f"attention.{clip}"], np.stack(wanted[f"attention.{clip}"]), atol=0.02)
    np.testing.assert_allclose(found["asked_scores"], wanted["asked_scores"], atol=0.5, rtol=0.02)
    np.testing.assert_allclose(found["scores"], wanted["scores"], atol=0.5, rtol=0.02)
    assert np.mean(found["likeliest"] == wanted["likeliest"]) > 0.8
    assert np.all(np.diff(found["scores"], axis=1) <= 0)


def test_what_is_banned_is_never_said(network: CompiledNetwork) -> None:
    given = a_pass(2, 1, 4, (2, 0), (40, 1))
    given["banned"] = np.full((1, TOKENS), HIDDEN, np.float32)
    given["banned"][0, [4, 70]] = 0
    given["asked"] = np.array([[4, 5], [70, 71]])
    found = named(network, given)
    assert {*found["likeliest"][:, :2].ravel().tolist()} == {4, 70}
    assert np.isneginf(found["scores"][:, 2:]).all()
    assert np.exp(found["scores"][:, :2]).sum(axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert np.isneginf(found["asked_scores"][:, 1]).all()


def test_a_text_does_not_depend_on_its_company(network: CompiledNetwork) -> None:
    both = a_pass(5, 1, 4, (2, 3), (64, 37))
    one = both | {
        name: both[name][:2]
        for name in ("tokens", "places", "mask", "rows", "asked", *(f"past{place}" for place in range(2 * LAYERS)))
    }
    alone, together = named(network, one | {"shares": np.array([2, 0])}), named(network, both)
    for name in ("scores", "likeliest", "asked_scores", "present3"):
        np.testing.assert_array_equal(alone[name], together[name][:2])


def test_the_past_may_be_a_part_of_something_longer(network: CompiledNetwork) -> None:
    given = a_pass(3, 1, 6, (3, 0), (50, 1))
    parts = given | {f"past{place}": np.repeat(given[f"past{place}"], 2, axis=2)[:, :, ::2] for place in range(4)}
    for whole, part in zip(network.run(None, given), network.run(None, parts), strict=True):
        np.testing.assert_array_equal(whole, part)


def test_a_clip_of_no_length_is_refused(network: CompiledNetwork) -> None:
    with pytest.raises(ValueError, match=f"{vectors.LANES} positions"):
        network.run(None, a_pass(1, 1, 0, (1, 0), (vectors.LANES - 1, 1)))


def test_a_cut_has_the_layers_of_the_whole_model(
    network: CompiledNetwork, arrays: dict[str, Any], tmp_path: Path
) -> None:
    kept = [4, 1, 70, 33]
    words = {name: arrays[name][kept] for name in ("words", "words.weight", "words.scale")}
    other = {"narrow.bias": arrays["narrow.bias"] + 1}
    np.savez(tmp_path / "decoder.npz", **arrays | words | other)
    cut = CompiledNetwork(tmp_path / "decoder.npz", network)
    same = {name for name, layer in cut.linear.items() if layer.panels is network.linear[name].panels}
    assert same == set(whisper_eight_bits.LINEAR) - {"narrow"}
    given = a_pass(3, 1, 5, (3, 0), (143, 1))
    given |= {"banned": np.zeros((1, 4), np.float32)}
    given |= {"tokens": given["tokens"] % 4, "asked": given["asked"] % 4, "count": np.array([4])}
    wanted = Reference(arrays | words | other).run(given)
    np.testing.assert_allclose(named(cut, given)["scores"], wanted["scores"], atol=0.5, rtol=0.02)


def test_heads_of_another_width_are_refused(arrays: dict[str, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "decoder.npz", **arrays | {"heads": np.array(8)})
    with pytest.raises(ValueError, match="numbers wide, not 16"):
        CompiledNetwork(tmp_path / "decoder.npz")


def test_functions_are_right_to_six_digits() -> None:
    values = np.concatenate([np.linspace(-87, 0, 999), [-np.inf, -1e30]]).astype(np.float32)
    found = np.array([arithmetic.exponential(value) for value in values])
    np.testing.assert_allclose(found[:-2], np.exp(values[:-2].astype(np.float64)), rtol=2e-6, atol=1e-37)
    assert (found[-2:] < 1e-37).all()
    around = np.linspace(-9, 9, 777, dtype=np.float32)
    exact = [0.5 * each * (1 + math.erf(each / math.sqrt(2))) for each in around.tolist()]
    arithmetic.gelu(around)
    np.testing.assert_allclose(around, exact, atol=3e-6)


@pytest.mark.parametrize("values", [[3.0], [-5, -2, -7.5], [0, -0.0, 2.0**80, -np.inf], list(range(-40, 41))])
def test_the_largest_is_found_whatever_its_sign(values: list[float]) -> None:
    assert arithmetic.largest(np.array(values, np.float32)) == max(values)


@pytest.mark.skipif(vectors.INSTRUCTIONS is vectors.AVX2, reason="they are what the tests above ran on")
def test_all_the_same_on_older_instructions() -> None:
    environment = os.environ | {vectors.CHOICE: vectors.AVX2.feature}
    again = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", __file__]
    ran = subprocess.run(again, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize(
    ("has", "named", "chosen"),
    [
        ({"avx512vnni", "avx2", "fma"}, None, vectors.VNNI),
        ({"avx512vnni", "avx2", "fma"}, "", vectors.VNNI),
        ({"avx512vnni", "avx2", "fma"}, "avx2", vectors.AVX2),
        ({"avx512vnni", "avx2", "fma"}, "none", None),
        ({"avx2", "fma"}, None, vectors.AVX2),
        ({"avx2"}, None, None),
        ({"neon"}, None, None),
    ],
)
def test_the_best_instructions_are_chosen(
    has: set[str], named: str | None, chosen: vectors.Instructions | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if named is None:
        monkeypatch.delenv(vectors.CHOICE, raising=False)
    else:
        monkeypatch.setenv(vectors.CHOICE, named)
    assert vectors.choose(has) is chosen


def test_instructions_that_are_not_there_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(vectors.CHOICE, "avx512vnni")
    with pytest.raises(ValueError, match="AI2TEXT_WHISPER_INSTRUCTIONS=avx512vnni: this processor has avx2, none"):
        vectors.choose({"avx2", "fma"})
