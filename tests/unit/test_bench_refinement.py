"""What the benchmark of refinement counts, and how it takes texts apart."""

import unicodedata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench import refinement, spoken_numbers
from bench.peers import refiners


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("có 21 người", "có hai mươi mốt người"),
        ("15, 105 và 110", "mười lăm, một trăm linh năm và một trăm mười"),
        ("1.005.000 đồng", "một triệu không trăm linh năm nghìn đồng"),
        ("3,14", "ba phẩy một bốn"),
        ("50% dân số", "năm mươi phần trăm dân số"),
        ("2000", "hai nghìn"),
        ("7/2/2016, 10:30, F16, 3-1 và 1.2.3", "7/2/2016, 10:30, F16, 3-1 và 1.2.3"),
    ],
)
def test_numbers_are_said(written: str, spoken: str) -> None:
    assert spoken_numbers.spoken(written) == spoken


def test_marks_are_found_behind_their_words() -> None:
    wanted, got = ["Tôi đi, anh ở. Ai?"], ["Tôi đi anh ở. Ai."]
    assert refinement.marks_f1(wanted, got, ".") == pytest.approx(2 / 3)
    assert refinement.marks_f1(wanted, got, ",") == 0
    assert refinement.marks_f1(wanted, wanted, "?") == 1


def test_capitals_are_counted_by_words() -> None:
    assert refinement.capitals(["Lan ở Hà Nội"], ["Lan Ở hà nội"]) == (1 / 2, 1 / 3)


def test_words_count_as_wrong_where_a_text_has_another_number_of_them() -> None:
    assert refinement.word_accuracy(["a b", "c d"], ["a x", "c"]) == 1 / 4


@pytest.mark.parametrize(("new", "old"), [("hòa", "hoà"), ("THỦY", "THUỶ"), ("quý", "quý"), ("toàn", "toàn")])
def test_the_old_place_of_the_tone_mark(new: str, old: str) -> None:
    assert refinement.old_place(new) == old


@pytest.mark.parametrize(
    ("old", "new"),
    [("hoà", "hòa"), ("THUỶ", "THỦY"), ("nghoẻ", "nghỏe"), ("quý", "quý"), ("Chloé", "Chloé"), ("toàn", "toàn")],
)
def test_the_modern_place_of_the_tone_mark_of_syllables(old: str, new: str) -> None:
    assert refinement.new_place(old) == new


def test_only_marks_that_stood_at_the_old_place_may_be_moved() -> None:
    assert refinement.modern("Hoà bình, Chloé!") == "Hòa bình, Chloé!"
    assert refinement.moved_back("Hoà bình ở Huế", "Hòa bình ở Huế.") == "Hoà bình ở Huế."
    for was, now in (("quý", "qúy"), ("Chloé", "Chlóe"), ("hòa", "hoà"), ("hoà bình", "hòa"), ("hoà", "hóa")):
        assert refinement.moved_back(was, now) == now


class Spoiler:
    """A refiner that moves every tone mark of "oa", wherever it stood."""

    def refined(self, request: Any) -> Any:
        return SimpleNamespace(text=request.text.replace("oà", "òa").replace("uý", "úy"))


def test_texts_that_must_be_left_alone_count_a_rule_that_goes_too_far() -> None:
    refiner: Any = Spoiler()
    rows = refinement.Bench(refiner).untouched("some", ["Hoà bình.", "Vàng và bạc quý."])
    assert {row.after for row in rows if row.measure == "texts changed"} == {0.5}
    assert all(row.after == 0 for row in refinement.Bench(refiner).untouched("some", ["Hoà bình."]))


def test_sentences_are_left_as_they_are_written(tmp_path: Path) -> None:
    for name in ("tatoeba/dev.vie", "sib200/vie_dev.tsv", "sib200/vie_train.tsv", "xquad_retrieval/corpus.vi.jsonl",
                 "xquad_retrieval/queries.vi.jsonl"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    (tmp_path / "tatoeba/dev.vie").write_text(unicodedata.normalize("NFD", "Hoà  bình ở đây."), encoding="utf-8")
    assert refinement.corpora(tmp_path)["tatoeba"] == ["Hoà bình ở đây."]


def test_the_peers_way_of_writing_becomes_ours() -> None:
    text = "lúc 07h30 ngày 05/03/2025 trời 37 ° c, giá 50.000₫ giảm 5 %"
    assert refiners.in_our_form(text) == "lúc 7 giờ 30 ngày 5/3/2025 trời 37°C, giá 50.000 đồng giảm 5%"
