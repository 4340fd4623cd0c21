"""Encoded speech into text, with one set of weights."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from jobs import Hypothesis, Job
from loops import compression_ratio, token_room
from vocabulary import Vocabulary
from waveform import FRAMES_PER_SECOND

LONGEST_DECODE = 448

Floats = NDArray[np.float32]


class Engine(Protocol):
    """What is used of `ctranslate2.models.Whisper`; features and encodings are its `StorageView`s."""

    def encode(self, features: Any, to_cpu: bool = False) -> Any:
        """Log-Mel [n, bands, frames] into [n, frames / 2, width]."""

    def detect_language(self, features: Any) -> list[list[tuple[str, float]]]:
        """For each encoding the languages as `<|vi|>` with their probabilities, likeliest first."""

    def generate(self, features: Any, prompts: list[list[int]], **options: Any) -> list[Any]:
        """The likeliest tokens after each prompt."""

    def align(
        self, features: Any, start_sequence: list[int], text_tokens: list[list[int]], num_frames: list[int]
    ) -> list[Any]:
        """Each given token's probability and place in the audio."""


@dataclass(frozen=True, eq=False)
class Clip:
    """A job behind the encoder: `encoding` is [50 * seconds, width], `prompt` what `decoder` begins with."""

    job: Job
    seconds: int
    encoding: Floats
    language: str
    language_prob: float
    decoder: "Decoder"
    prompt: list[int]


class Decoder:
    """Whisper's decoder on CTranslate2. Holds nothing between calls."""

    def __init__(self, engine: Engine, vocabulary: Vocabulary, to_view: Callable[[Floats], Any]) -> None:
        """`to_view` makes CTranslate2's tensor."""
        self.vocabulary = vocabulary
        self._engine = engine
        self._to_view = to_view

    def decode(self, clips: Sequence[Clip], **options: Any) -> list[Hypothesis]:
        """Decodes clips of one beam size, one context and one prompt length together."""
        results = self._engine.generate(
            self._stacked(clips),
            [clip.prompt for clip in clips],
            beam_size=clips[0].job.beam_size,
            max_length=length_limit(max(clip.job.samples.size for clip in clips), len(clips[0].prompt)),
            suppress_tokens=self.vocabulary.unspeakable,
            return_scores=True,
            return_no_speech_prob=True,
            **options,
        )
        return [self._hypothesis(clip, result) for clip, result in zip(clips, results, strict=True)]

    def time(self, clips: Sequence[Clip], found: Sequence[Hypothesis]) -> list[Hypothesis]:
        """Adds the words and the tokens' probabilities to hypotheses in one language and one context."""
        paths = self._engine.align(
            self._stacked(clips),
            self.vocabulary.language(clips[0].language).sot_sequence,
            [each.tokens for each in found],
            [min(clip.seconds * FRAMES_PER_SECOND, math.ceil(clip.job.duration * FRAMES_PER_SECOND)) for clip in clips],
        )
        return [self._timed(*each) for each in zip(clips, found, paths, strict=True)]

    def _stacked(self, clips: Sequence[Clip]) -> Any:
        return self._to_view(np.stack([clip.encoding for clip in clips]))

    def _hypothesis(self, clip: Clip, result: Any) -> Hypothesis:
        language = self.vocabulary.language(clip.language)
        tokens = [token for token in result.sequences_ids[0] if token < language.eot]
        text = language.decode(tokens).strip()
        # The score is a mean over the tokens alone; thresholds are known for the mean that counts the text's end too.
        length = len(result.sequences_ids[0])
        return Hypothesis(
            text=text,
            tokens=tokens,
            avg_logprob=result.scores[0] * length / (length + 1),
            no_speech_prob=result.no_speech_prob,
            compression_ratio=compression_ratio(text),
            language=clip.language,
            language_prob=clip.language_prob,
            context_seconds=clip.seconds,
        )

    def _timed(self, clip: Clip, found: Hypothesis, path: Any) -> Hypothesis:
        pieces = self.vocabulary.pieces(clip.language, found.tokens)
        return found.timed(pieces, path.text_token_probs, path.alignments, clip.job.duration)


def length_limit(sample_count: int, prompt_length: int) -> int:
    """The `max_length` that leaves room for such a clip.

    CTranslate2 decodes at most half of `max_length`, and at most `max_length` less the prompt.
    """
    room = token_room(sample_count)
    return min(LONGEST_DECODE, room + max(room, prompt_length))
