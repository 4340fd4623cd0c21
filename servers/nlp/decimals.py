"""Decimal fractions ("hai phẩy năm"), versions ("bốn chấm không") and fractions ("hai phần ba")."""

from collections.abc import Sequence

from servers.nlp import numerals
from servers.nlp.numerals import DIGITS, cardinal, word
from servers.nlp.spans import Span

_SCALES = {"nghìn": "nghìn", "ngàn": "nghìn", "triệu": "triệu", "tỷ": "tỷ", "tỉ": "tỷ"}
_DENOMINATORS = {word: digit for word, digit in DIGITS.items() if digit not in (0, 1, 5)} | {"tư": 4, "mười": 10}
_KIN = frozenset({"mẹ", "má", "tôi", "em", "cháu", "nó", "anh", "chị", "ấy", "của"})


def decimal(keys: Sequence[str], at: int) -> Span | None:
    """A number with a comma, and the scale behind it."""
    whole = cardinal(keys, at)
    if whole is None or word(keys, whole.end) != "phẩy" or not _apart(keys, at):
        return None
    digits, end = _fraction(keys, whole.end + 1)
    if not digits:
        return None
    scale = _SCALES.get(word(keys, end))
    written = f"{numerals.grouped(whole.value)},{digits}"
    return Span(at, end + 1, f"{written} {scale}") if scale else Span(at, end, written)


def version(keys: Sequence[str], at: int) -> Span | None:
    """One digit, "chấm", one digit. "Hai chấm" is a colon."""
    major, minor = DIGITS.get(word(keys, at)), DIGITS.get(word(keys, at + 2))
    if major is None or minor is None or word(keys, at + 1) != "chấm" or keys[at] == "hai" or not _apart(keys, at):
        return None
    if word(keys, at + 3) in numerals.NUMBER_WORDS | {"chấm"}:
        return None
    return Span(at, at + 3, f"{major}.{minor}")


def fraction(keys: Sequence[str], at: int) -> Span | None:
    """A digit, "phần", a digit."""
    top, bottom = DIGITS.get(word(keys, at), 0), _DENOMINATORS.get(word(keys, at + 2), 0)
    if not 0 < top < bottom or word(keys, at + 1) != "phần" or not _apart(keys, at):
        return None
    if word(keys, at + 3) in numerals.NUMBER_WORDS | _KIN or numerals.begins_another(keys, at + 2):
        return None
    return Span(at, at + 3, f"{top}/{bottom}")


def _apart(keys: Sequence[str], at: int) -> bool:
    before = word(keys, at - 1)
    return before in ("năm", "không") or before not in numerals.NUMBER_WORDS | {"phẩy", "chấm"}


def _fraction(keys: Sequence[str], at: int) -> tuple[str, int]:
    """The digits behind the comma, and where they end: one by one, or as a number below 1000.

    "Năm" behind the first digit is the year: "hai phẩy ba năm".
    """
    end = at
    while (digit := word(keys, end)) in DIGITS and not (digit == "năm" and end > at and keys[end - 1] != "không"):
        end += 1
    number = cardinal(keys, at)
    if number is not None and number.end > end and 10 <= number.value < 1000:
        return str(number.value), number.end
    if word(keys, end) in {"mươi", "trăm", "mười", "mốt", "lăm", "tư"}:
        return "", at
    return "".join(str(DIGITS[key]) for key in keys[at:end]), end
