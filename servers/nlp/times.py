"""Times of day: "bảy giờ rưỡi" is "7 giờ 30"."""

from collections.abc import Sequence

from servers.nlp.numerals import HALF, cardinal, word
from servers.nlp.spans import Span

_BEFORE = frozenset({"lúc", "hồi", "vào", "khoảng", "đến", "từ", "tới", "trước", "tầm"})
_AFTER = frozenset({"sáng", "trưa", "chiều", "tối", "đêm", "khuya", "đúng", "kém"})
_NOT_A_TIME = frozenset({"đồng", "học", "làm"})


def time(keys: Sequence[str], at: int) -> Span | None:
    """The hour, and minutes when they are said."""
    hour = cardinal(keys, at, short=True)
    if hour is None or not 0 <= hour.value <= 24 or word(keys, hour.end) != "giờ":
        return None
    after = hour.end + 1
    if word(keys, after) == HALF:
        return Span(at, after + 1, f"{hour.value} giờ 30")
    if word(keys, after) == "kém":
        return _before_the_hour(keys, at, hour.value, after + 1)
    minutes = _minutes(keys, after)
    if minutes is not None:
        return Span(at, minutes.end, f"{hour.value} giờ {minutes.written}")
    if hour.value < 10 and not _is_of_the_day(keys, at, after):
        return None
    return Span(at, after, f"{hour.value} giờ")


def _is_of_the_day(keys: Sequence[str], at: int, after: int) -> bool:
    """Whether one digit and "giờ" is an hour, not how long something takes. "Không giờ" wants both signs."""
    before, behind = word(keys, at - 1) in _BEFORE, word(keys, after) in _AFTER
    if word(keys, at) == "không":
        return before and behind
    return (before and word(keys, after) not in _NOT_A_TIME) or behind


def _minutes(keys: Sequence[str], at: int) -> Span | None:
    """1 to 59; a single digit only before "phút"."""
    number = cardinal(keys, at, short=True)
    if number is None or not 1 <= number.value <= 59:
        return None
    named = word(keys, number.end) == "phút"
    if number.value < 10 and not named:
        return None
    return Span(at, number.end, str(number.value))


def _before_the_hour(keys: Sequence[str], at: int, hour: int, minutes_at: int) -> Span | None:
    number = cardinal(keys, minutes_at, short=True)
    if number is None or not 1 <= number.value <= 59:
        return None
    return Span(at, number.end, f"{hour} giờ kém {number.value}")
