"""Accents, tone marks, capitals: letter by letter."""

import timeit
import unicodedata
from pathlib import Path

import pytest

from mesh.models import accents as accents_file
from servers.nlp import accents, capitals, lexicon, tones
from servers.nlp.accents import Lexicon
from servers.nlp.draft import Change, Draft, Step
from servers.nlp.syllables import bare, has_vietnamese_letter, is_bare_syllable

LEXICON = Lexicon(
    {
        "tôi": 0.02,
        "tối": 0.001,
        "đi": 0.02,
        "học": 0.01,
        "việt": 0.003,
        "nam": 0.002,
        "năm": 0.01,
        "là": 0.03,
        "ở": 0.01,
    },
    [["việt", "nam"], ["đi", "học"]],
)


def changed(text: str, changes: list[Change]) -> str:
    draft = Draft(text)
    draft.change(Step.CAPITALISATION, changes)
    return draft.text


def capitalised(text: str, language: str = "vi") -> str:
    return changed(text, list(capitals.changes(text, language)))


@pytest.mark.parametrize(
    ("old", "modern"),
    [
        ("hoà", "hòa"),
        ("HOÀ", "HÒA"),
        ("khoẻ", "khỏe"),
        ("thuý", "thúy"),
        ("uỷ", "ủy"),
        ("hòan", "hoàn"),
        ("hùynh", "huỳnh"),
        ("xóay", "xoáy"),
        ("qúy", "quý"),
        (unicodedata.normalize("NFD", "Việt"), "Việt"),
    ],
)
def test_the_tone_mark_has_its_modern_place(old: str, modern: str) -> None:
    assert tones.placed(old) == modern


@pytest.mark.parametrize("word", ["quý", "hoàn", "huỳnh", "hòa", "toán", "quả", "người", "của", "Oáp", "mùa", "tuần"])
def test_a_word_that_is_spelt_well_stays(word: str) -> None:
    assert tones.placed(word) == word


def test_other_languages_keep_their_spelling_and_get_composed_letters() -> None:
    text = unicodedata.normalize("NFD", "café") + " hoà"
    assert changed(text, list(tones.composed(text))) == "café hoà"


@pytest.mark.parametrize("word", ["nguyen", "giuong", "quyet", "khuya", "gi", "ngoeo", "xuong", "a", "y"])
def test_syllables(word: str) -> None:
    assert is_bare_syllable(word)


@pytest.mark.parametrize("word", ["the1", "friend", "school", "string", "w", "jazz", "ngng", ""])
def test_what_is_no_syllable(word: str) -> None:
    assert not is_bare_syllable(word)


def test_accents_go_and_are_noticed() -> None:
    assert bare("Đường Nguyễn Trãi") == "Duong Nguyen Trai"
    assert has_vietnamese_letter("đi")
    assert has_vietnamese_letter("ma" + "\u0300")
    assert not has_vietnamese_letter("di")


def test_accents_come_back_by_words_of_the_dictionary_and_by_the_commonest_syllable() -> None:
    text = "Toi di hoc o Viet Nam nam nay"
    assert changed(text, list(accents.changes(text, LEXICON))) == "Tôi đi học ở Việt Nam năm nay"


@pytest.mark.parametrize(
    "text",
    [
        "tôi di hoc",
        "toi di",
        "the weather is fine",
        "i will go to school after this",
        "12 34 56",
        "toi xyz brrr school street",
    ],
)
def test_a_text_with_accents_or_in_another_language_or_too_short_is_left_alone(text: str) -> None:
    assert list(accents.changes(text, LEXICON)) == []


SHARES = {
    "lần": 0.003,
    "lan": 0.001,
    "xem": 0.001,
    "phim": 0.001,
    "tôi": 0.02,
    "toi": 4e-5,
    "tiếng": 0.002,
    "anh": 0.01,
}
NAMES_TOO = Lexicon(SHARES, [["xem", "phim"]])


@pytest.mark.parametrize("text", ["Lan xem phim", "anh Lan xem phim", "Lan Anh xem"])
def test_words_that_are_well_without_accents_get_none(text: str) -> None:
    assert list(accents.changes(text, NAMES_TOO)) == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("toi xem phim", "tôi xem phim"), ("anh xem tieng", "anh xem tiếng"), ("lan toi xem", "lần tôi xem")],
)
def test_one_syllable_that_is_hardly_ever_plain_shows_that_accents_are_lacking(text: str, wanted: str) -> None:
    assert changed(text, list(accents.changes(text, NAMES_TOO))) == wanted


def test_unknown_words_stay_among_those_that_are_known() -> None:
    assert LEXICON.restored(["toi", "brrr", "hoc"]) == ["tôi", "brrr", "học"]


def test_the_file_of_words_is_read_as_it_is_written(tmp_path: Path) -> None:
    shares = {"hoà": 0.01, "toi": 1e-5, "tôi": 0.02, "abc1": 0.5, "school": 0.1}
    lines = accents_file.lines(shares, ["Hoà bình", "rất", "a b c d e", "x-quang máy"])
    (tmp_path / lexicon.FILE).write_text("\n".join(lines), encoding="utf-8")
    read = lexicon.read(tmp_path)
    assert read.restored(["hoa", "binh"]) == ["hòa", "bình"]
    assert read.restored(["toi", "rat"]) == ["tôi", "rất"]
    assert read.spelling(("school",)) is None
    assert read.restored(["viet", "nam"]) == ["việt", "nam"], "our own names are among the words"


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / lexicon.FILE).write_text("tôi\n", encoding="utf-8")
    with pytest.raises(ValueError, match="without a share"):
        lexicon.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("xin chào. tôi là lan", "Xin chào. Tôi là lan"),
        ("đi đâu? “về nhà.” anh nói", "Đi đâu? “Về nhà.” Anh nói"),
        ("tôi ở hà nội, việt nam", "Tôi ở Hà Nội, Việt Nam"),
        ("ông trần văn bình nói tiếng anh", "Ông Trần Văn Bình nói tiếng Anh"),
        ("nguyễn thị mai", "Nguyễn Thị Mai"),
        ("người nhật đến châu âu", "Người Nhật đến châu Âu"),
        ("các nước asean", "Các nước ASEAN"),
        ("tỉnh hòa bình", "Tỉnh Hòa Bình"),
    ],
)
def test_sentences_and_names_begin_with_capitals(text: str, wanted: str) -> None:
    assert capitalised(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "và Lan đi về nhà.",
        "Anh ấy ở tp. hồ, tôi nghĩ vậy… nhưng không chắc",
        "Họ muốn hòa bình",
        "Trần nhà cao ba mét",
        "Liên hợp quốc họp",
        "Ngày 3.5 tôi đi",
        "Tiếng anh ấy nói",
        "Xây dựng nhà nước pháp quyền",
        "Giao lưu văn hóa và quản lý thị trường",
    ],
)
def test_what_may_be_meant_so_stays_small(text: str) -> None:
    assert capitalised(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Hai anh em cao bằng nhau",
        "Công nghệ an toàn",
        "An ninh mạng",
        "Một xã hội an toàn",
        "Nhà trường sa thải giáo viên",
        "Thị trường sa sút",
        "Không biết ai cập nhật",
        "Miền nam cực kỳ nóng",
        "Miền bắc kinh tế phát triển",
        "Người miền nam định cư ở Mỹ",
        "An ninh bình thường",
        "Các nước anh em",
        "Nước anh ấy uống",
        "Một phần lan rộng",
        "Một người đức độ",
        "Công nghệ an sinh xã hội",
        "Thuyền không ai cập bến",
        "Không cần thơ mộng quá",
        "Mừng sinh nhật bản thân",
        "Cập nhật bản vá",
        "Tập trung đông người",
        "Đô la mã hóa",
        "Các chuyên gia lai tạo giống lúa",
        "Quốc gia lai căng",
        "Triệu phú quốc tế",
        "Cuộc sống phong phú yên vui",
        "Xử lý âm thanh hóa ra dễ",
        "Trạng thái nguyên vẹn",
        "Phương tây nguyên thủ",
        "Bưu điện biên giới",
        "Kiểm lâm đồng loạt ra quân",
        "Thiên hạ long trọng đón",
        "Hương hoa kỳ lạ",
        "Hai nam phi công trẻ",
        "Duyên hải phòng thủ",
        "Phục hưng yên bình",
        "Quốc khánh hòa nhạc",
        "Dấu ấn độ bền",
        "Hình thái lan rộng",
        "Xây nhà nước pháp quyền",
        "Người chăm chỉ",
        "Người chăm sóc bà",
        "Tiếng lào xào",
        "Nổi tiếng anh hùng",
        "Người hoa hậu ấy",
        "Tiếng trung thực",
    ],
)
def test_no_place_or_people_is_found_inside_ordinary_words(text: str) -> None:
    assert capitalised(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Cô ấy là vũ công chuyên nghiệp",
        "Đây là đoàn công tác của bộ",
        "Đây là đoàn thanh tra",
        "Cơ quan quản lý thị thực",
    ],
)
def test_what_someone_is_is_not_their_name(text: str) -> None:
    assert capitalised(text) == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Tôi ở cao bằng", "Tôi ở Cao Bằng"),
        ("Quê nghệ an sinh năm ngoái", "Quê Nghệ An sinh năm ngoái"),
        ("Phố cổ hội an", "Phố cổ Hội An"),
        ("Quần đảo trường sa và hoàng sa", "Quần đảo Trường Sa và Hoàng Sa"),
        ("Người ai cập", "Người Ai Cập"),
        ("Bay đến bắc kinh", "Bay đến Bắc Kinh"),
        ("Tỉnh ninh bình thường xuyên mưa", "Tỉnh Ninh Bình thường xuyên mưa"),
        ("Chính phủ nam phi công bố", "Chính phủ Nam Phi công bố"),
        ("Tỉnh gia lai tạo điều kiện", "Tỉnh Gia Lai tạo điều kiện"),
        ("Từ phần lan sang nước anh", "Từ Phần Lan sang nước Anh"),
        ("Người nhật bản thân thiện", "Người Nhật Bản thân thiện"),
        ("Tỉnh lai châu", "Tỉnh Lai Châu"),
        ("Tương lai châu á và châu âu", "Tương lai châu Á và châu Âu"),
        ("Ở trung đông và trung quốc", "Ở Trung Đông và Trung Quốc"),
        ("Người đức học tiếng anh", "Người Đức học tiếng Anh"),
        ("Người chăm ở bình thuận", "Người Chăm ở Bình Thuận"),
        ("Anh ấy tên là lê quang hải", "Anh ấy tên là Lê Quang Hải"),
        ("Cô vũ thị hà", "Cô Vũ Thị Hà"),
    ],
)
def test_names_beside_ordinary_words_have_capitals(text: str, wanted: str) -> None:
    assert capitalised(text) == wanted


def test_a_long_run_of_dots_takes_time_in_proportion_to_its_length() -> None:
    def took(dots: int) -> float:
        text = "a" + "." * dots + "! b"
        return min(timeit.repeat(lambda: capitalised(text), number=1, repeat=3))

    assert capitalised("a" + "." * 8000 + "! b") == "A" + "." * 8000 + "! B"
    assert capitalised("Chờ..... rồi đi") == "Chờ..... rồi đi"
    assert took(8000) < 40 * max(took(1000), 0.0005)


def test_english_says_i() -> None:
    assert capitalised("you and i know. i'm here, i.e. there", "en") == "You and I know. I'm here, i.e. there"


@pytest.mark.parametrize("text", ["ßa", "ŉa", "ﬁn"])
def test_letters_without_one_capital_stay(text: str) -> None:
    assert capitalised(text, "en") == text
