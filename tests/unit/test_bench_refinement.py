"""What the benchmark of refinement counts, and how it takes texts apart."""

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


def test_the_peers_way_of_writing_becomes_ours() -> None:
    text = "lúc 07h30 ngày 05/03/2025 trời 37 ° c, giá 50.000₫ giảm 5 %"
    assert refiners.in_our_form(text) == "lúc 7 giờ 30 ngày 5/3/2025 trời 37°C, giá 50.000 đồng giảm 5%"
