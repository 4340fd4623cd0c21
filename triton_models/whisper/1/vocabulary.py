"""What the decoder is told before it begins, and what it may not say."""

import re
from collections.abc import Sequence
from functools import cached_property

from faster_whisper.tokenizer import Tokenizer
from tokenizers import Tokenizer as BytePairTokenizer

from waveform import UnusableRequest
from words import Piece

PROMPT_STEP = 8
LONGEST_PROMPT = 96
LONGEST_HOTWORDS = 48
_LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")


class Vocabulary:
    """Whisper's tokens, seen from each language. `pairs` is the model's own byte-pair tokenizer."""

    def __init__(self, pairs: BytePairTokenizer, *, multilingual: bool) -> None:
        self._pairs = pairs
        self._multilingual = multilingual
        self._plain = Tokenizer(pairs, multilingual=False)
        self._languages: dict[str, Tokenizer] = {}

    def knows(self, code: str) -> bool:
        """Whether this model can write this language."""
        return self._pairs.token_to_id(f"<|{code}|>") is not None if self._multilingual else code == "en"

    def language(self, code: str) -> Tokenizer:
        """The tokenizer for one language, such as `vi`. Raises UnusableRequest when Whisper does not know it."""
        if code not in self._languages:
            if not self._multilingual and code != "en":
                raise UnusableRequest(f"LANGUAGE {code!r}: this model knows English only")
            if not self.knows(code):  # else the tokenizer would leave it out, and the model write any language
                raise UnusableRequest(f"LANGUAGE {code!r} is none that this model knows, such as vi or en")
            try:
                self._languages[code] = Tokenizer(self._pairs, self._multilingual, task="transcribe", language=code)
            except ValueError:
                raise UnusableRequest(f"LANGUAGE {code!r} is not one of Whisper's codes, such as vi or en") from None
        return self._languages[code]

    @property
    def start(self) -> int:
        """The token behind which the decoder names the language."""
        return int(self._plain.sot)

    def language_marks(self) -> tuple[list[str], list[int]]:
        """The codes of all languages that this model can write, and their tokens."""
        marks = ((_LANGUAGE.fullmatch(token), number) for token, number in self._pairs.get_vocab().items())
        known = sorted((mark[1], number) for mark, number in marks if mark)
        return [code for code, _ in known], [number for _, number in known]

    def pieces(self, code: str, tokens: list[int]) -> list[Piece]:
        """The words and marks of a text in one language, with how many of its tokens each has."""
        texts, theirs = self.language(code).split_to_word_tokens(tokens)
        return [Piece(text, len(some)) for text, some in zip(texts, theirs, strict=True)]

    def candidates(self, listed: str) -> tuple[str, ...]:
        """The codes among which the language is to be found: those listed, commas between them; none means any.

        An English-only model has one candidate. Raises UnusableRequest for a code that the model does not know.
        """
        codes = tuple(dict.fromkeys(code.strip() for code in listed.split(",") if code.strip()))
        if not self._multilingual and (not codes or "en" in codes):
            return ("en",)
        for code in codes:
            self.language(code)
        return codes

    def context(self, hotwords: str, previous_text: str) -> list[int]:
        """What the decoder reads before the clip, as tokens behind `<|startofprev|>`: hotwords, then the text before.

        Both fill whole steps of 8 tokens, at most 96 together and 48 for the hotwords, so that requests share prompt
        lengths: CTranslate2 decodes only prompts of one length together. Nothing when there is too little text.
        """
        named = self._hotwords(hotwords)
        before = self._text(previous_text)
        kept = min(LONGEST_PROMPT - len(named), len(before)) // PROMPT_STEP * PROMPT_STEP
        spoken = named + (before[-kept:] if kept else [])
        return [self._plain.sot_prev, *spoken] if spoken else []

    def prompt(self, code: str, hotwords: str = "", previous_text: str = "") -> list[int]:
        """The tokens that the decoder starts from: what it reads before, the language, the task, no timestamps."""
        tokens = self.language(code)
        return [*self.context(hotwords, previous_text), *tokens.sot_sequence, tokens.no_timestamps]

    def draft(self, code: str, text: str) -> list[int]:
        """The tokens that a transcript in one language has that says `text`."""
        return self.language(code).encode(f" {text.strip()}") if text.strip() else []

    def _text(self, text: str) -> list[int]:
        return self._plain.encode(f" {text.strip()}") if text.strip() else []

    def _hotwords(self, hotwords: str) -> list[int]:
        """The first terms that fit into 48 tokens as a sentence, behind spaces that fill up the first step.

        As a sentence, because the transcript takes after what is before it: bare words cost it full stops and capitals.
        """
        terms = [term for term in (part.strip() for part in re.split(r"[,\n]", hotwords)) if term]
        while len(tokens := self._text(_sentence(terms))) > LONGEST_HOTWORDS:
            terms.pop()
        spaces: list[int] = self._plain.encode(" ") * (-len(tokens) % PROMPT_STEP)
        return spaces + tokens

    @cached_property
    def unspeakable(self) -> list[int]:
        """Tokens that no transcript has: marks of music and noise, speaker tags, and the decoder's own controls."""
        tokens = self._plain
        controls = (
            tokens.transcribe, tokens.translate, tokens.sot, tokens.sot_prev, tokens.sot_lm, tokens.no_speech,
        )  # fmt: skip
        return sorted({*tokens.non_speech_tokens, *(token for token in controls if token is not None)})


def likeliest(ranked: Sequence[tuple[str, float]], candidates: Sequence[str]) -> tuple[str, float]:
    """The first of `ranked`, languages with their probabilities, that is among `candidates`, or of all where there are
    none; and its probability among them."""
    allowed = [each for each in ranked if not candidates or each[0] in candidates]
    total = sum(probability for _, probability in allowed)
    return allowed[0][0], allowed[0][1] / total if total else 0.0


def _sentence(terms: list[str]) -> str:
    """`terms` between commas, with a capital and a full stop; "" for none."""
    text = ", ".join(terms)
    return f"{text[0].upper()}{text[1:]}." if text else ""
