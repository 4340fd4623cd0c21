"""Numbers that are said digit by digit: telephones, and what is announced as a number."""

from collections.abc import Sequence

from servers.nlp.lists import listed
from servers.nlp.numerals import DIGITS, NUMBER_WORDS, word
from servers.nlp.spans import Span

_SPOKEN = DIGITS | {"tư": 4}
_ANNOUNCED = listed("số mã gọi đài hotline phòng máy thoại zalo pin otp biển")
_FEWEST, _FEWEST_ANNOUNCED, _MOST = 8, 3, 20
_COUNTRY_FEWEST = 10


def telephone(keys: Sequence[str], at: int) -> Span | None:
    """Digits in a row: many of them, or some behind a word such as "số"; few alone may be somebody counting."""
    if word(keys, at - 1) in NUMBER_WORDS - {"năm", "không"}:
        return None
    plus = word(keys, at) == "cộng"
    begin = at + plus
    end = begin
    while word(keys, end) in _SPOKEN and end - begin <= _MOST:
        end += 1
    if word(keys, end) in NUMBER_WORDS | {"phẩy", "chấm", "phần"}:
        return None
    count = end - begin
    if count > _MOST or count < (_COUNTRY_FEWEST if plus else _fewest(keys, at)):
        return None
    return Span(at, end, ("+" if plus else "") + "".join(str(_SPOKEN[key]) for key in keys[begin:end]))


def _fewest(keys: Sequence[str], at: int) -> int:
    before = word(keys, at - 1)
    if before == "là":  # of a sentence about a number: "số điện thoại của tôi là …"
        return _FEWEST_ANNOUNCED if not {"số", "mã", "hotline"}.isdisjoint(keys[max(0, at - 8) : at]) else _FEWEST
    return _FEWEST_ANNOUNCED if before in _ANNOUNCED else _FEWEST
