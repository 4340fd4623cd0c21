"""Whether a sentence without its mark is a question, by its words."""

from collections.abc import Sequence

from servers.nlp.lists import listed, phrases

_ASKING = """
tại sao|vì sao|bao nhiêu|bao lâu|bao xa|bao giờ|khi nào|thế nào|như thế|ở đâu|đi đâu|là gì|cái gì|làm gì|điều gì|là ai
ai là|ai đã|phải không|đúng không|được không|có phải|hay chưa|làm sao|thì sao|gì vậy|gì thế|vậy sao|mấy giờ
"""
_PHRASES = phrases(_ASKING)
_ALWAYS_LAST = frozenset({"à", "hả", "nhỉ", "chứ", "hở", "chăng", "ư"})
_LAST = frozenset({"không", "chưa", "gì", "nào", "sao", "đâu", "ai", "mấy"}) | _ALWAYS_LAST
_NOT_LAST = phrases("chẳng sao|không sao|hay không|lúc nào|ai nào|không đâu|chứ sao|cũng không")
_STARTS = frozenset({"ai", "sao", "liệu", "mấy"})
_SOME = frozenset({"đó", "đấy", "cả", "khác", "cũng", "ấy", "mà"})
_WHICH = {"nào": _SOME, "gì": _SOME | {"được", "về", "của", "thì", "là"}}
"""Words that ask, each with those behind it that make it mean "some" or "what": "một ngày nào đó"."""
_TOLD = listed(
    "biết hiểu rõ hỏi bất dù tìm giải xem kể quên nhớ rằng nói thấy những không chưa chẳng chả đừng bất khi nếu ngay"
)
"""Words that have a question behind them within a statement ("tôi không biết tại sao"), or make it none."""
_NEAR = 5
_LONGEST = 25
"""Of longer sentences most that have such words are statements."""

_ENGLISH = listed(
    "what who whom whose where when why how which is are am was were does did can could will would should shall may has"
    " have had isn't aren't don't doesn't didn't can't couldn't won't wouldn't shouldn't haven't hasn't"
)
_ENGLISH_PRONOUNS = listed("i you we they he she it")


def is_question(keys: Sequence[str], language: str) -> bool:
    """Whether the words of one sentence, in lower case, ask."""
    return _english(keys) if language == "en" else len(keys) >= 2 and _vietnamese(keys)


def _english(keys: Sequence[str]) -> bool:
    first, second = (*keys[:2], "", "")[:2]
    if first == "do":
        return second in _ENGLISH_PRONOUNS
    if first in ("when", "what", "how") and second in ("a", "the", *_ENGLISH_PRONOUNS):
        return False
    return first in _ENGLISH


def _vietnamese(keys: Sequence[str]) -> bool:
    last = keys[-1]
    if last in _ALWAYS_LAST or (last in ("không", "chưa") and "có" in keys[:-1] and keys[-2] != "có"):
        return True
    if last in _LAST:
        ending = tuple(keys[-2:])
        return ending not in _NOT_LAST and not _is_told(keys, len(keys) - (2 if ending in _PHRASES else 1))
    if len(keys) > _LONGEST:
        return False
    if keys[0] in _STARTS:
        return True
    return any(_asks(keys, at) and not _is_told(keys, at) for at in range(len(keys)))


def _asks(keys: Sequence[str], at: int) -> bool:
    if keys[at] in _WHICH:
        return keys[at + 1] not in _WHICH[keys[at]]
    return tuple(keys[at : at + 2]) in _PHRASES and tuple(keys[at : at + 3])[2:] not in (("đó",), ("này",))


def _is_told(keys: Sequence[str], at: int) -> bool:
    """Whether what asks is told of, or denied."""
    return not _TOLD.isdisjoint(keys[max(0, at - _NEAR) : at])
