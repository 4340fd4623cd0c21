"""Spoken numbers as people write them, and words that only look like numbers."""

import itertools
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import spoken_numbers
from servers.nlp import numbers
from servers.nlp.draft import Draft, Step
from servers.nlp.numerals import NUMBER_WORDS, cardinal, grouped

SPOKEN_FORMS = Path("bench/spoken_forms.tsv").read_text(encoding="utf-8").splitlines()
SAYING = "chín bỏ làm mười"
"""A proverb about numbers, which is measured as the mistake that it is."""


def written(text: str) -> str:
    draft = Draft(text)
    draft.change(Step.NUMBERS, numbers.changes(text))
    return draft.text


@pytest.mark.parametrize(("spoken", "wanted"), [line.split("\t")[1:] for line in SPOKEN_FORMS if SAYING not in line])
def test_spoken_forms(spoken: str, wanted: str) -> None:
    assert written(spoken) == wanted


@pytest.mark.parametrize(
    ("spoken", "wanted"),
    [
        ("hai lăm", "25"),
        ("ba trăm sáu lăm", "365"),
        ("một trăm hai mốt", "121"),
        ("một trăm lẻ tám", "108"),
        ("một trăm rưỡi", "150"),
        ("một trăm hai", "120"),
        ("một trăm mốt", "110"),
        ("hai nghìn lẻ năm người", "2.005 người"),
        ("năm mươi lăm", "55"),
        ("bảy mươi tư", "74"),
        ("một triệu không trăm linh năm nghìn sáu trăm", "1.005.600"),
        ("một tỷ ba trăm linh hai nghìn", "1.000.302.000"),
        ("hai tỷ rưỡi", "2,5 tỷ"),
        ("ba trăm nghìn tỷ đồng", "300.000 tỷ đồng"),
        ("hai phẩy năm triệu đồng", "2,5 triệu đồng"),
        ("không phẩy không năm", "0,05"),
        ("mười hai phẩy hai mươi lăm", "12,25"),
        ("ba mươi đến năm mươi nghìn người", "30 đến 50 nghìn người"),
        ("bảy đến mười phần trăm", "7 đến 10%"),
        ("công nghiệp bốn chấm không", "công nghiệp 4.0"),
        ("hạng mười một", "hạng 11"),
        ("học lớp hai trường làng", "học lớp 2 trường làng"),
        ("một trăm phần trăm", "100%"),
        ("hai nghìn năm trước", "2.000 năm trước"),
        ("từ năm một nghìn chín trăm bảy mươi lăm đến một nghìn chín trăm tám mươi", "từ năm 1975 đến 1980"),
        ("quận ba", "quận 3"),
    ],
)
def test_numbers(spoken: str, wanted: str) -> None:
    assert written(spoken) == wanted


@pytest.mark.parametrize(
    ("spoken", "wanted"),
    [
        ("tháng năm năm hai nghìn", "tháng 5 năm 2000"),
        ("thứ ba ngày hai mươi tháng mười", "thứ ba ngày 20/10"),
        ("ngày mười tháng mười hai năm hai không hai lăm", "ngày 10/12/2025"),
        ("ngày mười tháng năm hội làng mở", "ngày 10/5 hội làng mở"),
        ("mùng một tháng giêng năm hai nghìn", "mùng 1/1/2000"),
        ("lúc không giờ sáng mai", "lúc 0 giờ sáng mai"),
        ("mười hai giờ kém mười lăm phút", "12 giờ kém 15 phút"),
        ("chín giờ năm phút", "9 giờ 5 phút"),
        ("cao một mét bảy", "cao 1m7"),
        ("tám mươi ki lô mét một giờ", "80 km/h"),
        ("hai mươi lăm ki lô oát giờ", "25 kWh"),
        ("hai phẩy năm mét", "2,5 m"),
        ("năm đô la", "5 đô la"),
        ("năm trăm đô la Mỹ", "500 USD"),
        ("âm mười độ", "-10 độ"),
        ("5 ki lô mét", "5 km"),
        ("Ba mươi người", "30 người"),
        ("sự kiện ngày mười một tháng Chín", "sự kiện ngày 11 tháng Chín"),
        ("từ ngày năm tháng Tám", "từ ngày 5 tháng Tám"),
        ("sau chiến tranh Trung Đông một nghìn chín trăm sáu mươi bảy", "sau chiến tranh Trung Đông 1967"),
        ("hai mươi mốt, hai mươi hai", "21, 22"),
    ],
)
def test_dates_times_and_measures(spoken: str, wanted: str) -> None:
    assert written(spoken) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "hai ba mươi người",
        "mười lăm hai mươi người",
        "hai mươi một ngày",
        "mười mấy tuổi",
        "tháng hai lần",
        "mỗi tháng ba ngày nghỉ",
        "một phần năm nay",
        "hai độ tuổi khác nhau",
        "hai gam màu chính",
        "một tỷ lệ không nhỏ",
        "hai triệu phú",
        "ba triệu chứng",
        "đọc một hai ba nào",
        "có hai chấm ba gạch",
        "nhà hai tầng ba phòng ngủ",
        "mười phần trọn vẹn",
        "Chiến tranh Ba mươi Năm",
        "tiến sĩ thứ Mười Một",
        "tháng Chín",
        "hai trăm ba nghìn",
        "không giờ giấc gì cả",
        "100 mét",
        "ba, mươi",
        "năm 1975",
        "0912345678",
    ],
)
def test_what_may_be_something_else_stays_in_words(text: str) -> None:
    assert written(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "đông hơn lớp năm nay",
        "lớp năm ngoái",
        "tầng lớp một cách rõ rệt",
        "tầng lớp hai",
        "chia lớp một cách hợp lý",
        "hạ tầng một cách đồng bộ",
        "thời trang hai mùa",
        "nền văn chương ba miền",
        "một phần tư tưởng của ông",
        "một phần tư liệu đã mất",
        "một phần tư duy",
        "một phần tư cách",
        "một phần tư pháp",
        "một phần tư vấn",
        "một phần tư thế ngồi",
        "mười tư thế yoga",
        "mười tư vấn viên",
        "mười tư liệu quý",
        "mười tư tưởng lớn",
        "mười tư duy mới",
        "hai mươi tư thế yoga",
    ],
)
def test_words_that_a_label_or_a_four_begins_stay_words(text: str) -> None:
    assert written(text) == text


@pytest.mark.parametrize(
    ("spoken", "wanted"),
    [
        ("một phần tư nhân loại", "1/4 nhân loại"),
        ("một phần tư thế kỷ", "1/4 thế kỷ"),
        ("một phần tư thế giới", "1/4 thế giới"),
        ("mười tư thế kỷ", "14 thế kỷ"),
        ("hai mươi tư người", "24 người"),
        ("lớp một cách đây hai mươi năm", "lớp 1 cách đây 20 năm"),
        ("lớp năm trường làng", "lớp 5 trường làng"),
        ("tầng hai", "tầng 2"),
        ("trang một", "trang 1"),
    ],
)
def test_labels_and_fours_beside_those_words_are_numbers(spoken: str, wanted: str) -> None:
    assert written(spoken) == wanted


@given(st.integers(10, 10**12 - 1))
def test_every_cardinal_is_understood(value: int) -> None:
    keys = spoken_numbers.cardinal(value).split()
    number = cardinal(keys, 0)
    assert number is not None
    assert (number.value, number.end) == (value, len(keys))


@given(
    st.lists(st.sampled_from(sorted(NUMBER_WORDS | {"tháng", "ngày", "giờ", "phẩy", "phần", "đến", "độ", "mét", "âm"})))
)
def test_any_heap_of_number_words_is_borne(keys: list[str]) -> None:
    spans = list(numbers.found(keys))
    for one, other in itertools.pairwise(spans):
        assert one.first < one.end <= other.first


def test_points_stand_between_thousands() -> None:
    assert [grouped(value) for value in (0, 999, 1000, 1234567)] == ["0", "999", "1.000", "1.234.567"]


def test_letters_that_are_not_composed_are_the_same_words() -> None:
    assert written(unicodedata.normalize("NFD", "hai mươi lăm tuổi")).startswith("25 ")
