"""Spoken cardinal numbers of Vietnamese, and how they are written.

What a speaker may mean in two ways is no number here: the text keeps its words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from servers.nlp.lists import listed

DIGITS = {
    "không": 0, "một": 1, "hai": 2, "ba": 3, "bốn": 4, "năm": 5, "sáu": 6, "bảy": 7, "bẩy": 7, "tám": 8, "chín": 9,
}  # fmt: skip
"""A digit that stands alone. Most of them are other words too: not, father, year, ripe."""

_UNITS = {word: digit for word, digit in DIGITS.items() if digit not in (0, 1, 5)} | {"tư": 4, "lăm": 5, "nhăm": 5}
_AFTER_MUOI = _UNITS | {"một": 1}
_AFTER_TENS = _UNITS | {"mốt": 1}
_SHORT_ONLY = {"mốt": 1, "tư": 4, "lăm": 5, "nhăm": 5}
_SHORT_ALWAYS = {"lăm": 5, "nhăm": 5}
_TENS = {word: digit for word, digit in DIGITS.items() if digit >= 2}
_HUNDREDS = {word: digit for word, digit in DIGITS.items() if digit >= 1}
_SHORTHAND = {word: digit for word, digit in DIGITS.items() if digit not in (0, 1, 5)} | {"mốt": 1, "tư": 4}
"""What may stand for the next lower place: "một triệu hai" is 1,200,000. "Năm" behind a number is the year."""

ODD = ("linh", "lẻ")
HALF = "rưỡi"
_SCALES = {"nghìn": 1000, "ngàn": 1000, "triệu": 10**6, "tỷ": 10**9, "tỉ": 10**9}
SCALES = frozenset(_SCALES) | {"trăm"}
_NO_SCALE = listed("lệ giá phú trọng suất mỉ chứng tập hồi trùng")
"""Behind "tỷ", "triệu" and "nghìn" these make other words: rate, millionaire, symptom."""
_VAGUE = frozenset({"mấy", "mươi", "chục", "tá", "vài", "rưởi"})
_AFTER_SHORTHAND = frozenset({"đồng", "đô", "usd", "euro", "mỗi", "một", "tiền", "rồi", "ạ", "nhé", "thôi"})
_TU = listed("vấn liệu tưởng duy cách pháp lệnh thục thù")
"""Behind "tư" these make other words: "mười tư vấn viên" are ten advisers, "một phần tư liệu" some of the sources."""
_AFTER_THE = listed("kỷ kỉ giới hệ")
"""Behind "thế" these make words that are counted: "mười tư thế kỷ" are 14 centuries, "mười tư thế" ten poses."""
NUMBER_WORDS = frozenset(DIGITS) | SCALES | _VAGUE | {"mười", "mốt", "tư", "lăm", "nhăm", HALF}
_OFTEN_NO_DIGIT = frozenset({"năm", "không"})


@dataclass(frozen=True)
class Cardinal:
    """A number that was said, and the word behind it."""

    value: int
    end: int
    rounded: bool = False
    """Whether it was said as a scale and a part of it ("hai triệu rưỡi")."""

    @property
    def written(self) -> str:
        """As people write it: points between thousands; millions and milliards by their names where they are round."""
        if self.value >= 10**9 and self.value % 10**9 and not self.rounded:
            whole, rest = divmod(self.value, 10**9)
            return grouped(self.value) if rest % 10**6 else f"{grouped(whole)} tỷ {rest // 10**6} triệu"
        for name, size in (("tỷ", 10**9), ("triệu", 10**6)):
            whole, rest = divmod(self.value, size)
            if whole and not rest:
                return f"{grouped(whole)} {name}"
            if whole and self.rounded and rest * 100 % size == 0:
                return f"{grouped(whole)},{rest * 100 // size:02d}".rstrip("0") + f" {name}"
        return grouped(self.value)


def grouped(value: int) -> str:
    """Digits with a point before each three."""
    return f"{value:,}".replace(",", ".")


def word(keys: Sequence[str], at: int) -> str:
    """The word at a place; none beyond the end."""
    return keys[at] if 0 <= at < len(keys) else ""


def begins_another(keys: Sequence[str], at: int) -> bool:
    """Whether the "tư" at a place is no four, but the beginning of another word, such as "tư vấn"."""
    behind = word(keys, at + 1)
    return word(keys, at) == "tư" and (behind in _TU or (behind == "thế" and word(keys, at + 2) not in _AFTER_THE))


def cardinal(keys: Sequence[str], at: int, *, short: bool = False) -> Cardinal | None:
    """The longest number that begins at a place; None where none does, or where it may be two. Single digits count.

    With `short`, "hai tư" is 24 and "ba mốt" 31: only where nothing but a number can stand.
    """
    found = _million_millions(keys, at, short)
    if found is None or word(keys, found.end) in _VAGUE | SCALES | {HALF, *ODD, "mốt", "lăm", "nhăm"}:
        return None
    return found


def stands_alone(keys: Sequence[str], found: Cardinal, at: int) -> bool:
    """Whether no other number is beside it, so that it is neither a part of one nor an estimate ("hai ba mươi")."""
    before, after = word(keys, at - 1), word(keys, found.end)
    if before in NUMBER_WORDS - _OFTEN_NO_DIGIT and not _is_no_number(before, word(keys, at - 2)):
        return False
    if after == "một":
        return word(keys, found.end - 1) not in ("mươi", "mười")
    return after not in (NUMBER_WORDS - _OFTEN_NO_DIGIT) and not after[:1].isdigit()


def _is_no_number(one: str, before: str) -> bool:
    """Whether a word that may be a part of a number is none behind `before`: "thứ tư", "đầu tư"."""
    return before in ("thứ", "tháng") or (one in _SHORT_ONLY and before not in NUMBER_WORDS)


def _scale(keys: Sequence[str], at: int) -> int:
    """What the word at a place multiplies by; 0 when it is none, or the beginning of another word, as in "tỷ lệ"."""
    return 0 if word(keys, at + 1) in _NO_SCALE else _SCALES.get(word(keys, at), 0)


def _million_millions(keys: Sequence[str], at: int, short: bool) -> Cardinal | None:
    head = _scaled(keys, at, 10**6, short)
    if head is None or _scale(keys, head.end) != 10**9:
        return head
    return _with_rest(keys, head, 10**9)


def _scaled(keys: Sequence[str], at: int, size: int, short: bool, inner: bool = False) -> Cardinal | None:
    """A number of so many of `size` (10**6 or 1000), and the rest; or a smaller one."""
    if size == 100:
        return _hundreds(keys, at, short, inner)
    head = _scaled(keys, at, 100 if size == 1000 else 1000, short, inner)
    if head is None or _scale(keys, head.end) != size:
        return head
    return _with_rest(keys, head, size)


def _with_rest(keys: Sequence[str], head: Cardinal, size: int) -> Cardinal:
    """What stands behind a scale word: half of it, a smaller number, or a digit for the next lower place."""
    at, base = head.end + 1, head.value * size
    if word(keys, at) == HALF:
        return Cardinal(base + size // 2, at + 1, rounded=True)
    rest = _odd(keys, at) or _scaled(keys, at, {1000: 100, 10**6: 1000, 10**9: 10**6}[size], short=False, inner=True)
    if rest is not None and _fits(keys, at, rest, size):
        return Cardinal(base + rest.value, rest.end, rest.rounded)
    digit = _SHORTHAND.get(word(keys, at))
    if digit is not None and _ends_shorthand(keys, at + 1):
        return Cardinal(base + digit * size // 10, at + 1, rounded=True)
    return Cardinal(base, at)


def _fits(keys: Sequence[str], at: int, rest: Cardinal, size: int) -> bool:
    """Whether a smaller number belongs to the scale before it: it names its own place, or lacks only the hundreds."""
    said = keys[at : rest.end]
    if rest.value >= 100 or said[0] in ODD or said[:2] == ["không", "trăm"] or not SCALES.isdisjoint(said):
        return rest.value < size
    return size == 1000 and rest.value >= 10


def _ends_shorthand(keys: Sequence[str], at: int) -> bool:
    return word(keys, at) in _AFTER_SHORTHAND | {""}


def _odd(keys: Sequence[str], at: int) -> Cardinal | None:
    """ "Linh năm", "lẻ mười hai": what stands behind empty places."""
    if word(keys, at) not in ODD:
        return None
    digit = _unit(keys, at + 1, DIGITS | {"tư": 4})
    tens = _tens(keys, at + 1, short=False)
    return tens or (Cardinal(digit, at + 2) if digit else None)


def _hundreds(keys: Sequence[str], at: int, short: bool, inner: bool) -> Cardinal | None:
    digit = (_HUNDREDS | ({"không": 0} if inner else {})).get(word(keys, at))
    if digit is None or word(keys, at + 1) != "trăm":
        return _tens(keys, at, short or inner) or _single(keys, at)
    base, at = digit * 100, at + 2
    if base and word(keys, at) == HALF:
        return Cardinal(base + 50, at + 1)
    rest = _odd(keys, at) or _tens(keys, at, short=True)
    if rest is not None:
        return Cardinal(base + rest.value, rest.end)
    shorthand = _SHORTHAND.get(word(keys, at))
    if base and shorthand is not None and _ends_shorthand(keys, at + 1):
        return Cardinal(base + shorthand * 10, at + 1)
    return Cardinal(base, at) if base else None


def _tens(keys: Sequence[str], at: int, short: bool) -> Cardinal | None:
    """10 to 99."""
    first, second = word(keys, at), word(keys, at + 1)
    if first == "mười":
        unit = _unit(keys, at + 1, _AFTER_MUOI)
        return Cardinal(10 + unit, at + (2 if unit else 1))
    tens = _TENS.get(first)
    if tens is None:
        return None
    if second == "mươi":
        unit = _unit(keys, at + 2, _AFTER_TENS)
        return Cardinal(tens * 10 + unit, at + (3 if unit else 2))
    shortened = _unit(keys, at + 1, _SHORT_ONLY if short else _SHORT_ALWAYS)
    return Cardinal(tens * 10 + shortened, at + 2) if shortened else None


def _unit(keys: Sequence[str], at: int, units: Mapping[str, int]) -> int:
    """The last digit of a number; 0 when there is none."""
    return 0 if begins_another(keys, at) else units.get(word(keys, at), 0)


def _single(keys: Sequence[str], at: int) -> Cardinal | None:
    digit = DIGITS.get(word(keys, at))
    return None if digit is None else Cardinal(digit, at + 1)
