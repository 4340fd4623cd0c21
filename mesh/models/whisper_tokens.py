"""Whisper's tokens: which of them a language needs, and the tokenizer that is left with some alone."""

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from tokenizers import Tokenizer, pre_tokenizers

from mesh.models.word_lists import WordShares

# How a word is written, and how often: behind a space or, where a word has several parts, without.
FORMS: tuple[tuple[str, Callable[[str], str]], ...] = (
    (" ", str.lower),
    (" ", str.capitalize),
    ("", str.lower),
    ("", str.capitalize),
    (" ", str.upper),
)
WORD = (0.88, 0.11, 0.005, 0.004, 0.001)
NAME = (0.05, 0.93, 0.003, 0.016, 0.001)
CONTROLS = (
    "endoftext", "startoftranscript", "translate", "transcribe", "startoflm", "startofprev", "nospeech", "nocaptions",
    "notimestamps",
)  # fmt: skip
_DIGITS_AND_MARKS = re.compile(r"Ġ?([0-9]+|[!-/:-@\[-`{-~]{1,2})")
_VOWELS = "aăâeêioôơuưy"
_TONES = ("", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323")


def whole(document: dict[str, Any]) -> dict[str, Any]:
    """The same `tokenizer.json` with its first merge, which some converters drop because they take it for a heading.

    Without it no text is written with ` t` nor with any token that is merged from it: ` the`, ` that`, ` trong`.
    """
    ids, merges = document["model"]["vocab"], document["model"]["merges"]
    first = next(name for name, token in ids.items() if token == len(pre_tokenizers.ByteLevel.alphabet()))
    if _parts(merges[0]) == tuple(first):
        return document
    lost = " ".join(first) if isinstance(merges[0], str) else list(first)
    return {**document, "model": {**document["model"], "merges": [lost, *merges]}}


class Vocabulary:
    """A byte-pair tokenizer as `tokenizer.json` describes it."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._tokenizer = Tokenizer.from_str(json.dumps(document))
        self._ids: dict[str, int] = document["model"]["vocab"]
        self._merges = [_parts(merge) for merge in document["model"]["merges"]]

    def specials(self, language: str) -> list[int]:
        """The decoder's controls and the mark of one language, in the order of their ids."""
        names = {f"<|{name}|>" for name in (*CONTROLS, language)}
        return sorted(token["id"] for token in self._document["added_tokens"] if token["content"] in names)

    def basics(self) -> set[int]:
        """What every text may need: single bytes, digits, ASCII marks, the letters of Vietnamese and English."""
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        names = (name for name in self._ids if name in alphabet or _DIGITS_AND_MARKS.fullmatch(name))
        marked = [unicodedata.normalize("NFC", letter + tone) for letter, tone in product(_VOWELS, _TONES)]
        letters = [*marked, *map(str.upper, marked), "đ", "Đ"]
        return {self._ids[name] for name in names} | self._used([lead + each for each in letters for lead in ("", " ")])

    def common(self, words: WordShares, share: float) -> set[int]:
        """The commonest tokens, so many that they are `share` of all tokens that these words are written with.

        The words come in lower case. Whisper's tokens tell which of them are names: those that take fewer tokens with
        a capital.
        """
        spelt = [self._encoded([lead + form(word) for word, _ in words]) for lead, form in FORMS]
        uses: dict[int, float] = defaultdict(float)
        for (_, often), *spellings in zip(words, *spelt, strict=True):
            is_name = len(spellings[1]) < len(spellings[0])
            for tokens, weight in zip(spellings, NAME if is_name else WORD, strict=True):
                for token in tokens:
                    uses[token] += often * weight
        return _most_used(uses, share)

    def closed(self, tokens: Iterable[int]) -> set[int]:
        """These tokens and all that they are merged from, without which the tokenizer would not come to them."""
        parts = {self._ids[a + b]: (self._ids[a], self._ids[b]) for a, b in reversed(self._merges)}
        found, waiting = set[int](), list(tokens)
        while waiting:
            token = waiting.pop()
            if token not in found:
                found.add(token)
                waiting.extend(parts.get(token, ()))
        return found

    def reduced(self, kept: Sequence[int]) -> dict[str, Any]:
        """The `tokenizer.json` of these tokens alone; their ids are their places in `kept`.

        It writes a text with the same tokens as before wherever all of them were kept, and otherwise with smaller ones.
        """
        places = {token: place for place, token in enumerate(kept)}
        vocabulary = {name: places[token] for name, token in self._ids.items() if token in places}
        merges = [f"{a} {b}" for a, b in self._merges if vocabulary.keys() >= {a, b, a + b}]
        added = [
            {**token, "id": places[token["id"]]} for token in self._document["added_tokens"] if token["id"] in places
        ]
        model = {**self._document["model"], "vocab": vocabulary, "merges": merges}
        return {**self._document, "added_tokens": added, "post_processor": None, "model": model}

    def _used(self, texts: list[str]) -> set[int]:
        return {token for ids in self._encoded(texts) for token in ids}

    def _encoded(self, texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch(texts, add_special_tokens=False)]


def _most_used(uses: Mapping[int, float], share: float) -> set[int]:
    room = share * sum(uses.values())
    found: set[int] = set()
    for token in sorted(uses, key=uses.__getitem__, reverse=True):
        if room <= 0:
            break
        found.add(token)
        room -= uses[token]
    return found


def _parts(merge: str | list[str]) -> tuple[str, str]:
    """A merge is a pair, which older files write as one text with a space in it."""
    first, second = merge.split(" ") if isinstance(merge, str) else merge
    return first, second
