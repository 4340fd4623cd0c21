"""Written numbers as a Vietnamese speaker says them, so that texts with digits can be heard and written again."""

import re

_DIGITS = ("không", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín")
_SCALES = ((10**9, "tỷ"), (10**6, "triệu"), (10**3, "nghìn"))
_NUMBER = re.compile(r"(?<![\w.,/:–-])(\d{1,3}(?:\.\d{3})+|\d{1,12})(?:,(\d{1,3}))?(\s?%)?(?![\w/:–-]|[.,]\d)")


def spoken(text: str) -> str:
    """The same text with its numbers and per cents in words; dates, times and codes stay as they are."""
    return _NUMBER.sub(lambda match: _said(match[1].replace(".", ""), match[2], bool(match[3])), text)


def numbers(text: str) -> int:
    """How many numbers `spoken` would say."""
    return len(_NUMBER.findall(text))


def _said(whole: str, fraction: str | None, percent: bool) -> str:
    words = cardinal(int(whole))
    if fraction is not None:
        words += " phẩy " + " ".join(_DIGITS[int(digit)] for digit in fraction)
    return words + (" phần trăm" if percent else "")


def cardinal(value: int) -> str:
    """A number below 10**12 in words."""
    parts: list[str] = []
    for size, name in _SCALES:
        head, value = divmod(value, size)
        if head:
            parts.append(f"{_below_thousand(head, full=bool(parts))} {name}")
    if value or not parts:
        parts.append(_below_thousand(value, full=bool(parts)))
    return " ".join(parts)


def _below_thousand(value: int, full: bool) -> str:
    """With `full`, empty hundreds are said: "không trăm linh năm"."""
    hundreds, rest = divmod(value, 100)
    words = [_DIGITS[hundreds], "trăm"] if hundreds or full else []
    if not rest:
        return " ".join(words) or _DIGITS[0]
    tens, unit = divmod(rest, 10)
    if tens == 0:
        return " ".join([*words, *(["linh"] if words else []), _DIGITS[unit]])
    words += ["mười"] if tens == 1 else [_DIGITS[tens], "mươi"]
    if unit:
        words.append({1: "mốt" if tens > 1 else "một", 5: "lăm"}.get(unit, _DIGITS[unit]))
    return " ".join(words)
