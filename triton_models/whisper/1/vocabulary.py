"""What the decoder is told before it begins, and what it may not say."""

from functools import cached_property

from faster_whisper.tokenizer import Tokenizer
from tokenizers import Tokenizer as BytePairTokenizer

from waveform import UnusableRequest

PREVIOUS_TEXT_STEP = 8
LONGEST_PREVIOUS_TEXT = 96


class Vocabulary:
    """Whisper's tokens, seen from each language. `pairs` is the model's own byte-pair tokenizer."""

    def __init__(self, pairs: BytePairTokenizer, *, multilingual: bool) -> None:
        self._pairs = pairs
        self._multilingual = multilingual
        self._languages: dict[str, Tokenizer] = {}

    def language(self, code: str) -> Tokenizer:
        """The tokenizer for one language, such as `vi`. Raises UnusableRequest when Whisper does not know it."""
        if code not in self._languages:
            if not self._multilingual and code != "en":
                raise UnusableRequest(f"LANGUAGE {code!r}: this model knows English only")
            try:
                self._languages[code] = Tokenizer(self._pairs, self._multilingual, task="transcribe", language=code)
            except ValueError:
                raise UnusableRequest(f"LANGUAGE {code!r} is not one of Whisper's codes, such as vi or en") from None
        return self._languages[code]

    def previous(self, text: str) -> list[int]:
        """The end of the text before, as tokens behind `<|startofprev|>`; nothing when there is too little of it.

        It is cut to a multiple of 8 tokens, at most 96, so that requests share prompt lengths: CTranslate2 decodes
        only prompts of one length together.
        """
        tokens = self.language("en")
        before = tokens.encode(f" {text.strip()}") if text.strip() else []
        kept = min(LONGEST_PREVIOUS_TEXT, len(before)) // PREVIOUS_TEXT_STEP * PREVIOUS_TEXT_STEP
        return [tokens.sot_prev, *before[-kept:]] if kept else []

    def prompt(self, code: str, previous_text: str) -> list[int]:
        """The tokens that the decoder starts from: the text before, the language, the task, no timestamps."""
        tokens = self.language(code)
        return [*self.previous(previous_text), *tokens.sot_sequence, tokens.no_timestamps]

    @cached_property
    def unspeakable(self) -> list[int]:
        """Tokens that no transcript has: marks of music and noise, speaker tags, and the decoder's own controls."""
        tokens = self.language("en")
        controls = (
            tokens.transcribe, tokens.translate, tokens.sot, tokens.sot_prev, tokens.sot_lm, tokens.no_speech,
        )  # fmt: skip
        return sorted({*tokens.non_speech_tokens, *(token for token in controls if token is not None)})
