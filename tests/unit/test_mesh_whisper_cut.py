"""The cut of Whisper's vocabulary: word lists, which tokens stay, the tokenizer and the weights that are left."""

import gzip
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, pre_tokenizers

from mesh.models import ctranslate2_weights, whisper_cut, word_lists
from mesh.models.ctranslate2_weights import Variable, Weights
from mesh.models.wheels import ModelError, Wheel, sha256_of
from mesh.models.whisper_tokens import Vocabulary, whole

MERGES = ["Ġ t", "h e", "Ġt he", "Ġthe m", "Ġ x", "Ġx i", "Ġxi n", "Ġ N", "ĠN a", "ĠNa m", "z z", "zz z"]
CONTROLS = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|vi|>", "<|zh|>", "<|notimestamps|>"]
TIMESTAMPS = 3


@pytest.fixture
def document() -> dict[str, Any]:
    """A `tokenizer.json` with every byte, the merges above, and Whisper's controls behind them."""
    names = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *(merge.replace(" ", "") for merge in MERGES)]
    added = [
        {"id": len(names) + place, "content": control, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
        for place, control in enumerate(CONTROLS)
    ]  # fmt: skip
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": False,
            "vocab": {name: place for place, name in enumerate(names)}, "merges": MERGES,
        },
    }  # fmt: skip


def ids(document: dict[str, Any], *names: str) -> set[int]:
    return {document["model"]["vocab"][name] for name in names}


def spelt(document: dict[str, Any], text: str) -> list[str]:
    tokens: list[str] = Tokenizer.from_str(json.dumps(document)).encode(text, add_special_tokens=False).tokens
    return tokens


def packed(value: Any) -> bytes:
    """msgpack, as much of it as wordfreq's lists use."""
    match value:
        case dict():
            return bytes([0x80 | len(value)]) + b"".join(packed(k) + packed(v) for k, v in value.items())
        case list():
            head = bytes([0x90 | len(value)]) if len(value) < 16 else b"\xdc" + struct.pack(">H", len(value))
            return head + b"".join(map(packed, value))
        case str():
            text = value.encode()
            return (bytes([0xA0 | len(text)]) if len(text) < 32 else b"\xd9" + bytes([len(text)])) + text
    return bytes([value])


def wordfreq(path: Path, english: list[list[str]], vietnamese: list[list[str]], header: Any = None) -> Wheel:
    """Writes a wheel with two lists and returns how it is pinned."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, lists in ((word_lists.ENGLISH, english), (word_lists.VIETNAMESE, vietnamese)):
            archive.writestr(name, gzip.compress(packed([header or {"format": "cB", "version": 1}, *lists])))
    return Wheel("wordfreq", "3.1.1", sha256_of(path))


def test_words_come_with_their_share_of_the_language(tmp_path: Path) -> None:
    long = "x" * 40
    wordfreq(tmp_path / "w.whl", [[], ["the"], *[[]] * 97, [], ["xin", long]], [["là"]])
    assert word_lists.read(tmp_path / "w.whl", word_lists.ENGLISH) == [
        ("the", 10**-0.01), ("xin", pytest.approx(0.1)), (long, pytest.approx(0.1)),
    ]  # fmt: skip
    assert word_lists.read(tmp_path / "w.whl", word_lists.VIETNAMESE) == [("là", 1.0)]


def test_rare_words_are_left_out(tmp_path: Path) -> None:
    wordfreq(tmp_path / "w.whl", [*[[]] * 700, ["scylla"]], [])
    assert word_lists.read(tmp_path / "w.whl", word_lists.ENGLISH) == []


def test_another_list_of_words_is_refused(tmp_path: Path) -> None:
    wordfreq(tmp_path / "w.whl", [], [], header={"format": "cB", "version": 2})
    with pytest.raises(ModelError, match="'version': 2"):
        word_lists.read(tmp_path / "w.whl", word_lists.ENGLISH)
    with zipfile.ZipFile(tmp_path / "v.whl", "w") as archive:
        archive.writestr(word_lists.ENGLISH, gzip.compress(packed([{"a": 1}])[:-2]))
        archive.writestr(word_lists.VIETNAMESE, b"plain")
    for name in (word_lists.ENGLISH, word_lists.VIETNAMESE):
        with pytest.raises(ModelError, match="no list of words"):
            word_lists.read(tmp_path / "v.whl", name)


def test_the_merge_that_a_converter_lost_comes_back(document: dict[str, Any]) -> None:
    assert whole(document) is document
    lossy = {**document, "model": {**document["model"], "merges": MERGES[1:]}}
    assert spelt(lossy, " the") == ["Ġ", "t", "he"]
    assert whole(lossy) == document
    pairs = {**document, "model": {**document["model"], "merges": [merge.split(" ") for merge in MERGES[1:]]}}
    assert whole(pairs)["model"]["merges"][0] == ["Ġ", "t"]
    assert spelt(whole(pairs), " the") == ["Ġthe"]


def test_the_commonest_tokens_make_up_the_share_that_is_asked_for(document: dict[str, Any]) -> None:
    vocabulary = Vocabulary(document)
    words = [("the", 0.6), ("them", 0.3), ("zzz", 0.1)]
    assert vocabulary.common(words, 0.3) == ids(document, "Ġthe")
    assert vocabulary.common(words, 0.5) == ids(document, "Ġthe", "Ġthem")
    assert ids(document, "zzz", "T") <= vocabulary.common(words, 1.0)


def test_a_word_that_takes_fewer_tokens_with_a_capital_is_a_name(document: dict[str, Any]) -> None:
    assert Vocabulary(document).common([("nam", 1.0)], 0.5) == ids(document, "ĠNam")


def test_what_a_token_is_merged_from_stays_too(document: dict[str, Any]) -> None:
    them = ids(document, "Ġthem")
    assert Vocabulary(document).closed(them) == ids(document, "Ġthem", "Ġthe", "Ġt", "he", "Ġ", "t", "h", "e", "m")


def test_bytes_digits_marks_and_letters_always_stay(document: dict[str, Any]) -> None:
    basics = Vocabulary(document).basics()
    assert basics >= set(range(256))
    assert not basics & ids(document, "Ġthe", "zz")


def test_the_tokenizer_that_is_left_writes_as_before_or_with_smaller_tokens(document: dict[str, Any]) -> None:
    vocabulary = Vocabulary(document)
    kept = [*sorted(vocabulary.closed(ids(document, "Ġthe", "Ġxin") | vocabulary.basics())), *vocabulary.specials("vi")]
    left = vocabulary.reduced(kept)
    assert spelt(left, " the xin") == spelt(document, " the xin") == ["Ġthe", "Ġxin"]
    assert spelt(left, " them zzz") == ["Ġthe", "m", "Ġ", "z", "z", "z"]
    assert all(document["model"]["vocab"][name] == kept[place] for name, place in left["model"]["vocab"].items())
    assert [token["content"] for token in left["added_tokens"]] == [
        each for each in CONTROLS if each not in ("<|en|>", "<|zh|>")
    ]
    assert Tokenizer.from_str(json.dumps(left)).token_to_id("<|vi|>") == kept.index(document["added_tokens"][3]["id"])


def weights(tokens: int, width: int = 4) -> Weights:
    """A model of CTranslate2 with float16 rows, a scale for each, and a variable that knows no tokens."""
    rows = np.arange(tokens * width, dtype=np.float16)
    return Weights(
        "WhisperSpec",
        3,
        [
            Variable("decoder/embeddings/weight", (tokens, width), 4, rows.tobytes()),
            Variable("decoder/embeddings/weight_scale", (tokens,), 0, np.arange(tokens, dtype=np.float32).tobytes()),
            Variable("encoder/conv1/bias", (3,), 0, bytes(12)),
            Variable("decoder/num_heads", (), 1, b"\x08\x00"),
        ],
        [("decoder/projection/weight", "decoder/embeddings/weight")],
    )


def test_weights_are_read_as_they_were_written(tmp_path: Path) -> None:
    ctranslate2_weights.write(weights(5), tmp_path / "model.bin")
    assert ctranslate2_weights.read(tmp_path / "model.bin") == weights(5)


def test_another_file_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(struct.pack("<I", 7) + bytes(64))
    with pytest.raises(ModelError, match="version 7"):
        ctranslate2_weights.read(path)
    ctranslate2_weights.write(weights(5), path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ModelError, match="no model"):
        ctranslate2_weights.read(path)


def test_rows_of_tokens_are_kept_and_all_else_is_left_alone() -> None:
    embeddings, scales, bias, heads = whisper_cut.reduced_weights(weights(5), [4, 1]).variables
    assert (embeddings.shape, scales.shape) == ((2, 4), (2,))
    assert np.frombuffer(embeddings.data, np.float16).reshape(2, 4).tolist() == [[16, 17, 18, 19], [4, 5, 6, 7]]
    assert np.frombuffer(scales.data, np.float32).tolist() == [4, 1]
    assert [bias, heads] == weights(5).variables[2:]
    with pytest.raises(ModelError, match="5 tokens"):
        whisper_cut.reduced_weights(weights(5), [5])


def test_a_cut_is_a_folder_of_its_own(
    tmp_path: Path, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, folder = tmp_path / "whisper", tmp_path / "cut"
    model.mkdir()
    folder.mkdir()
    specials = [token["id"] for token in document["added_tokens"]]
    names = [*document["model"]["vocab"], *CONTROLS, *(f"<|{place}|>" for place in range(TIMESTAMPS))]
    (model / "tokenizer.json").write_text(json.dumps(document))
    (model / "vocabulary.txt").write_text("".join(f"{name}\n" for name in names))
    zzz = document["model"]["vocab"]["zzz"]
    config = {"suppress_ids": [zzz, specials[1]], "lang_ids": specials[2:5], "alignment_heads": [[1, 2]]}
    (model / "config.json").write_text(json.dumps(config))
    ctranslate2_weights.write(weights(len(names)), model / "model.bin")
    monkeypatch.setattr(word_lists, "WHEEL", wordfreq(tmp_path / "wordfreq-3.1.1.whl", [["the"]], [["xin", "nam"]]))

    whisper_cut.fill(model, "vi", folder, tmp_path)

    left = json.loads((folder / "vocabulary.json").read_text())
    assert {"Ġxin", "ĠNam", "Ġthe", "zzz"} <= set(left)
    assert "Ġthem" not in left
    assert left[-4:] == ["<|endoftext|>", "<|startoftranscript|>", "<|vi|>", "<|notimestamps|>"]
    assert json.loads((folder / "config.json").read_text()) == {
        "suppress_ids": [left.index("zzz"), len(left) - 3], "lang_ids": [len(left) - 2], "alignment_heads": [[1, 2]],
    }  # fmt: skip
    rows = ctranslate2_weights.read(folder / "model.bin").variables[1]
    assert [names[int(row)] for row in np.frombuffer(rows.data, np.float32)] == left


def test_an_english_only_model_is_cut_to_english_and_a_folder_without_a_model_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "vocabulary.txt").write_text("a\n" * 51_864)
    assert whisper_cut.languages(tmp_path) == ["en"]
    (tmp_path / "vocabulary.json").write_text(json.dumps(["a"] * 51_866))
    assert whisper_cut.languages(tmp_path) == ["vi", "en"]
    with pytest.raises(ModelError, match="no folder of a faster-whisper model"):
        whisper_cut.languages(tmp_path / "nowhere")
