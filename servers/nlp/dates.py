"""Dates: "ngày mười lăm tháng ba năm hai nghìn không trăm hai mươi lăm" is "ngày 15/3/2025"."""

from collections.abc import Sequence

from servers.nlp.numerals import DIGITS, NUMBER_WORDS, cardinal, word
from servers.nlp.spans import Span

_DAY_BEFORE = frozenset({"ngày", "mùng", "mồng", "hôm", "sáng", "trưa", "chiều", "tối", "đêm", "nhật"})
_WEEKDAYS = frozenset({"hai", "ba", "tư", "năm", "sáu", "bảy"})
_MONTHS = {word: digit for word, digit in DIGITS.items() if digit not in (0, 5)} | {"tư": 4, "giêng": 1}
_NO_MONTH_BEFORE = NUMBER_WORDS | {
    "mỗi", "hàng", "mấy", "nhiều", "vài", "từng", "cả", "trong", "những", "các", "bao", "nửa", "lương", "theo", "tiền",
}  # fmt: skip
_NO_MONTH_AFTER = NUMBER_WORDS - {"năm"} | {
    "lần", "buổi", "bữa", "ngày", "tuần", "người", "phần", "kỳ", "đợt", "chuyến", "cái", "con", "lượt", "tiếng", "giờ",
}  # fmt: skip


def date(keys: Sequence[str], at: int) -> Span | None:
    """A day and its month, and its year when that is said."""
    day = cardinal(keys, at, short=True)
    if day is None or not 1 <= day.value <= 31 or word(keys, day.end) != "tháng":
        return None
    month, end = _month(keys, day.end + 1)
    if not month:
        return None
    year, year_end = _year(keys, end)
    if not year and not _is_a_day(keys, at):
        return None
    if not year and word(keys, end) in _NO_MONTH_AFTER:
        return None
    return Span(at, year_end, f"{day.value}/{month}/{year}") if year else Span(at, end, f"{day.value}/{month}")


def day(keys: Sequence[str], at: int) -> Span | None:
    """One digit between "ngày" and a month that is written another way."""
    if word(keys, at - 1) not in ("ngày", "mùng", "mồng") or word(keys, at + 1) != "tháng":
        return None
    digit = DIGITS.get(word(keys, at), 0)
    return Span(at, at + 1, str(digit)) if digit else None


def month(keys: Sequence[str], at: int) -> Span | None:
    """A month without a day. "Hai tháng ba lần" has none."""
    if word(keys, at) != "tháng" or word(keys, at - 1) in _NO_MONTH_BEFORE:
        return None
    number, end = _month(keys, at + 1)
    year, _ = _year(keys, end)
    if not number or word(keys, at + 1) == "giêng" or (not year and _is_vague(keys, at + 1, end)):
        return None
    return Span(at + 1, end, str(number))


def year(keys: Sequence[str], at: int) -> Span | None:
    """The number behind "năm" when it is a year's, without a point in it."""
    number, end = _year(keys, at)
    return Span(at + 1, end, number) if number else None


def _is_vague(keys: Sequence[str], begin: int, end: int) -> bool:
    """Whether a month without a year may be something else: "tháng năm" is "month and year" too."""
    return keys[begin] == "năm" or word(keys, end) in _NO_MONTH_AFTER


def _is_a_day(keys: Sequence[str], at: int) -> bool:
    before = word(keys, at - 1)
    return before in _DAY_BEFORE or (before in _WEEKDAYS and word(keys, at - 2) == "thứ")


def _month(keys: Sequence[str], at: int) -> tuple[int, int]:
    """The month's number, 0 when there is none, and where it ends."""
    if word(keys, at) == "mười":
        extra = {"một": 1, "hai": 2}.get(word(keys, at + 1), 0)
        return 10 + extra, at + (2 if extra else 1)
    if word(keys, at) == "năm":  # May, when a year follows or a day is before
        return 5, at + 1
    return _MONTHS.get(word(keys, at), 0), at + 1


def _year(keys: Sequence[str], at: int) -> tuple[str, int]:
    """The year behind the word "năm" at a place, empty when there is none, and where it ends."""
    if word(keys, at) != "năm":
        return "", at
    digits = _spelt(keys, at + 1)
    if digits:
        return digits
    number = cardinal(keys, at + 1)
    if number is None or not 1000 <= number.value <= 2999 or number.rounded:
        return "", at
    if word(keys, number.end) in NUMBER_WORDS - {"năm", "không"}:
        return "", at
    return str(number.value), number.end


def _spelt(keys: Sequence[str], at: int) -> tuple[str, int] | None:
    """Four digits one by one ("một chín bảy năm"), or two and a number of two ("hai không hai lăm")."""
    first, second = word(keys, at), word(keys, at + 1)
    if first not in ("một", "hai") or second not in DIGITS:
        return None
    century = f"{DIGITS[first]}{DIGITS[second]}"
    pair = cardinal(keys, at + 2, short=True)
    if pair is not None and 10 <= pair.value <= 99:
        return f"{century}{pair.value}", pair.end
    tail = [word(keys, at + 2), word(keys, at + 3)]
    if all(digit in DIGITS for digit in tail) and word(keys, at + 4) not in NUMBER_WORDS - {"năm", "không"}:
        return century + "".join(str(DIGITS[digit]) for digit in tail), at + 4
    return None
