"""Measures: per cents, units, degrees, and money in foreign currencies."""

from collections.abc import Sequence

from servers.nlp import decimals
from servers.nlp.lists import phrases
from servers.nlp.numerals import DIGITS, HALF, NUMBER_WORDS, cardinal, grouped, stands_alone, word
from servers.nlp.spans import Span

_METRE = {"mét": "m", "mi li mét": "mm", "xăng ti mét": "cm", "xen ti mét": "cm", "đề xi mét": "dm", "ki lô mét": "km"}
_SPELLINGS = {
    "kilômét": "ki lô mét", "kilomet": "ki lô mét", "kí lô mét": "ki lô mét", "ki lô mét": "ki lô mét",
    "xentimét": "xăng ti mét", "milimét": "mi li mét",
}  # fmt: skip
_SPEEDS = ("trên giờ", "trên một giờ", "một giờ", "giờ", "mỗi giờ")

SYMBOLS: dict[str, str] = {
    **_METRE,
    **{spelling: _METRE[name] for spelling, name in _SPELLINGS.items()},
    **{f"{name} vuông": f"{symbol}²" for name, symbol in _METRE.items()},
    **{f"{name} khối": f"{symbol}³" for name, symbol in _METRE.items()},
    **{f"ki lô mét {speed}": "km/h" for speed in _SPEEDS},
    "mét trên giây": "m/s",
    "héc ta": "ha", "hecta": "ha", "hécta": "ha",
    "ki lô gam": "kg", "kí lô gam": "kg", "ki lô": "kg", "kí lô": "kg", "ký lô": "kg", "kilôgam": "kg", "kilogam": "kg",
    "mi li gam": "mg", "miligam": "mg", "gam": "g",
    "mi li lít": "ml", "mililít": "ml",
    "ki lô oát": "kW", "ki lô oát giờ": "kWh", "mê ga oát": "MW",
    "ki lô bai": "KB", "mê ga bai": "MB", "gi ga bai": "GB", "tê ra bai": "TB",
    "ki lô héc": "kHz", "mê ga héc": "MHz", "gi ga héc": "GHz",
    "phần trăm": "%",
    "độ c": "°C", "độ xê": "°C", "độ f": "°F",
    "đô la mỹ": "USD", "đô mỹ": "USD",
}  # fmt: skip
"""What is said behind a number, and what is written."""

_NAMED = phrases("lít|tấn|tạ|độ|dặm|hải lý|cây số|đô la|euro|bảng anh|nhân dân tệ|vôn|calo")
"""Units that are written as words: only the number before them changes."""

_NO_UNIT = {
    "độ": frozenset({"tuổi", "ẩm", "dài", "cao", "sâu", "rộng", "khó", "bền", "phân", "lượng", "đường", "lệch"}),
    "gam": frozenset({"màu"}),
    "tạ": frozenset({"tội", "ơn"}),
    "tấn": frozenset({"công", "phong", "kịch"}),
}
_TIGHT = frozenset({"%", "°C", "°F"})
_LONGEST = max(len(unit.split()) for unit in SYMBOLS)
_NO_HEIGHT = frozenset({"không", "một", "năm"})


def measure(keys: Sequence[str], at: int) -> Span | None:
    """A number and its unit. One in digits keeps them, and only a unit of several words becomes a symbol behind it."""
    if word(keys, at)[:1].isdigit():
        unit, end = _symbol(keys, at + 1)
        return Span(at + 1, end, unit) if end - at > 2 and unit not in _TIGHT - {"%"} else None
    number = _number(keys, at)
    if number is None:
        return None
    unit, end = _symbol(keys, number.end)
    if unit:
        return _height(keys, number, unit, end) or _written(keys, number, unit, end)
    if not _named(keys, number.end) or keys[at : number.end] == ["một"]:
        return None
    return number


def _written(keys: Sequence[str], number: Span, unit: str, end: int) -> Span:
    half = word(keys, end) == HALF and "," not in number.written
    amount = f"{number.written},5" if half else number.written
    return Span(number.first, end + half, f"{amount}{'' if unit in _TIGHT else ' '}{unit}")


def _number(keys: Sequence[str], at: int) -> Span | None:
    """A number before a unit, below zero when "âm" is before it and a temperature behind."""
    if word(keys, at) == "âm":
        inner = _number(keys, at + 1)
        if inner is not None and word(keys, inner.end) == "độ":
            return Span(at, inner.end, f"-{inner.written}")
        return None
    exact = decimals.decimal(keys, at)
    if exact is not None:
        return exact
    number = cardinal(keys, at, short=True)
    if number is None or not stands_alone(keys, number, at):
        return None
    if word(keys, at) == "không" and word(keys, number.end) != "phần" and word(keys, number.end + 1) not in ("c", "xê"):
        return None
    return Span(at, number.end, grouped(number.value) if number.value < 10**6 else number.written)


def _symbol(keys: Sequence[str], at: int) -> tuple[str, int]:
    """The symbol of the longest unit at a place, empty when there is none, and where the unit ends."""
    for length in range(min(_LONGEST, len(keys) - at), 0, -1):
        name = " ".join(keys[at : at + length])
        if name in SYMBOLS and word(keys, at + length) not in _NO_UNIT.get(name, ()):
            return SYMBOLS[name], at + length
    return "", at


def _named(keys: Sequence[str], at: int) -> bool:
    """Whether a unit that is written as a word stands at a place."""
    for name in _NAMED:
        end = at + len(name)
        if tuple(keys[at:end]) == name:
            return word(keys, end) not in _NO_UNIT.get(" ".join(name), ())
    return False


def _height(keys: Sequence[str], number: Span, unit: str, end: int) -> Span | None:
    """ "Một mét bảy", "một mét sáu mươi lăm": how tall somebody is."""
    if unit != "m" or number.written not in ("1", "2") or word(keys, end) in _NO_HEIGHT:
        return None
    rest = cardinal(keys, end, short=True)
    if rest is None or rest.value > 99 or word(keys, rest.end) in NUMBER_WORDS:
        return None
    if keys[end] in DIGITS and rest.value < 10 and word(keys, rest.end) != "":
        return None
    return Span(number.first, rest.end, f"{number.written}m{rest.value}")
