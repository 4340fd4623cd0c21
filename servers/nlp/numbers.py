"""Spoken numbers as people write them. What is not surely a number stays in words."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from servers.nlp.dates import date, day, month, year
from servers.nlp.decimals import decimal, fraction, version
from servers.nlp.draft import Change
from servers.nlp.lists import listed
from servers.nlp.measures import measure
from servers.nlp.numerals import DIGITS, NUMBER_WORDS, Cardinal, cardinal, stands_alone, word
from servers.nlp.spans import Rule, Span
from servers.nlp.telephone import telephone
from servers.nlp.times import time
from servers.nlp.words import Word, runs, words

_FEWEST_WRITTEN = 10
"""Smaller numbers are left in words, unless a unit, a date or the like is with them."""
_RANGE = ("đến", "tới")
_ESTIMATE = frozenset({"từ", "khoảng", "chừng", "tầm"})
_SURE_IN_A_RANGE = frozenset({"một", "hai", "bốn", "sáu", "bảy", "tám"})
_RANGE_SCALES = frozenset({"nghìn", "ngàn", "triệu", "tỷ", "tỉ"})
_LABELLED = frozenset({"tầng", "lớp", "chương", "trang", "quận", "hiệp"})
"""What has a number for its name: "tầng hai" is "tầng 2"."""
_NO_LABEL = {
    "tầng": listed("hạ giai địa thượng"),
    "lớp": listed("tầng"),
    "chương": listed("văn hiến huy huân"),
    "trang": listed("thời nghĩa hóa vũ ngụy cải phục nha quân"),
    "hiệp": listed("liên hào nghĩa kiếm hòa"),
}
"""Words that end in a label and have no number: "tầng lớp", "thời trang"."""
_BEHIND_THE_YEAR = listed("nay ngoái kia xưa trước sau tới qua")
"""Behind "năm" these make a year of it: "lớp năm nay" is this year's."""
_FAR = listed("đây đó nhau nhà xa")
"""Behind "cách" these make a distance of it; else "một cách" is the manner of something."""
_MANY = frozenset({"mỗi", "từng", "các", "mấy", "những", "vài", "nhiều"})
_YEARS = frozenset({"năm", "niên", "giải", "đoạn", "olympic", "olympics"})
_BEHIND_A_YEAR = listed("đến tới và hoặc thì là khi ở tại nhưng của cho để do") | {""}
_YEAR_WITHIN = 14
"""Words: a year that was said takes eight."""
_CAPITALS = frozenset({"c", "f", "mỹ", "xê"})
"""Words of units that are names themselves."""
_SAYINGS = frozenset({"phần", "phương", "mươi", "mắt"})
"""What makes "mười" a saying: "mười phần", "mười phương"."""


def changes(text: str) -> Iterator[Change]:
    """The numbers of a text."""
    for run in runs(words(text)):
        for span in found([one.key for one in run], partial(_is_no_name, run)):
            yield Change(run[span.first].start, run[span.end - 1].end, span.written)


def _is_no_name(run: Sequence[Word], span: Span) -> bool:
    """Whether no word of a number, but the first of a sentence, has a capital: "Chiến tranh Ba mươi Năm"."""
    spelt = (one for place, one in enumerate(run[span.first : span.end], span.first) if place > 0)
    return not any(one.text[0].isupper() and one.key not in _CAPITALS for one in spelt)


def found(keys: Sequence[str], accepted: Callable[[Span], bool] = lambda span: True) -> Iterator[Span]:
    """The numbers among the words of a run, in order; the first rule counts whose span is accepted."""
    at = 0
    while at < len(keys):
        spans = (span for span in (rule(keys, at) for rule in _RULES) if span is not None and accepted(span))
        span = next(spans, None)
        if span is not None:
            yield span
        at = span.end if span is not None else _behind(keys, at)


def _number(keys: Sequence[str], at: int) -> Span | None:
    number = cardinal(keys, at)
    if number is None or number.value < _FEWEST_WRITTEN or not stands_alone(keys, number, at):
        return None
    if keys[at] == "mười" and number.value == 10 and word(keys, number.end) in _SAYINGS:
        return None
    written = str(number.value) if _is_year(keys, at, number) else number.written
    return Span(at, number.end, written)


def _is_year(keys: Sequence[str], at: int, number: Cardinal) -> bool:
    """Whether a number without "năm" before it is a year: one was spoken of, or nothing follows that it could count."""
    behind = word(keys, number.end)
    if 1000 <= number.value <= 2099 and behind in _BEHIND_A_YEAR:
        return (number.value >= 1900 and not behind) or not _YEARS.isdisjoint(keys[max(0, at - _YEAR_WITHIN) : at])
    return False


def _label(keys: Sequence[str], at: int) -> Span | None:
    """One digit behind a word that is counted by its number; "nhà hai tầng ba phòng" has none."""
    digit, label, behind = word(keys, at), word(keys, at - 1), word(keys, at + 1)
    if digit not in DIGITS or digit == "không" or label not in _LABELLED:
        return None
    if word(keys, at - 2) in _NO_LABEL.get(label, ()) or (digit == "năm" and behind in _BEHIND_THE_YEAR):
        return None
    if (digit, behind) == ("một", "cách") and word(keys, at + 2) not in _FAR:
        return None
    if word(keys, at - 2) in NUMBER_WORDS | _MANY or behind in NUMBER_WORDS:
        return None
    return Span(at, at + 1, str(DIGITS[digit]))


def _scaled_range(keys: Sequence[str], at: int) -> Span | None:
    """ "Ba mươi đến năm mươi nghìn": both are thousands, so neither may be written out."""
    first = cardinal(keys, at)
    if first is None or first.value >= 1000 or word(keys, first.end) not in _RANGE or not stands_alone(keys, first, at):
        return None
    whole = cardinal(keys, first.end + 1)
    if whole is None or word(keys, whole.end - 1) not in _RANGE_SCALES:
        return None
    second = cardinal(keys[: whole.end - 1], first.end + 1)
    if second is None or second.end != whole.end - 1 or second.value >= 1000:
        return None
    written = f"{first.value} {keys[first.end]} {second.value} {keys[whole.end - 1]}"
    return Span(at, whole.end, written)


def _range(keys: Sequence[str], at: int) -> Span | None:
    """The first number of "từ năm đến mười lăm", so that both are written alike."""
    digit = word(keys, at)
    if digit not in DIGITS or word(keys, at + 1) not in _RANGE:
        return None
    announced = word(keys, at - 1) in _ESTIMATE
    measured = measure(keys, at + 2) if announced or digit in _SURE_IN_A_RANGE else None
    counted = _number(keys, at + 2) if announced else None
    return Span(at, at + 1, str(DIGITS[digit])) if measured or counted else None


def _behind(keys: Sequence[str], at: int) -> int:
    """Where to look next: a number that was left in words is left whole."""
    number = cardinal(keys, at)
    return number.end if number is not None else at + 1


_RULES: tuple[Rule, ...] = (
    telephone, date, day, month, year, time, _scaled_range, measure, decimal, version, fraction,
    _range, _label, _number,
)  # fmt: skip
