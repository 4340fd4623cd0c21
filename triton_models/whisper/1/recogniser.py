"""Speech into text: encode clips one by one, decode them together, decode again what looped, time the words."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from jobs import LARGEST_BEAM, Batch, Hypothesis, Job, plan
from loops import compression_ratio, is_looping
from vocabulary import Vocabulary
from waveform import LONGEST_SECONDS, SAMPLE_RATE, Samples, UnusableRequest, check
from words import Piece, time_words

FRAMES_PER_SECOND = 100
TOKENS_PER_SECOND = 8
SPARE_TOKENS = 16
LONGEST_DECODE = 448
AVOID_REPETITION = {"repetition_penalty": 1.1, "no_repeat_ngram_size": 3}

Floats = NDArray[np.float32]


class Engine(Protocol):
    """What is used of `ctranslate2.models.Whisper`; features and encodings are its `StorageView`s."""

    def encode(self, features: Any, to_cpu: bool = False) -> Any:
        """Log-Mel [1, bands, frames] into [1, frames / 2, width]."""

    def detect_language(self, features: Any) -> list[list[tuple[str, float]]]:
        """For each encoding the languages as `<|vi|>` with their probabilities, likeliest first."""

    def generate(self, features: Any, prompts: list[list[int]], **options: Any) -> list[Any]:
        """The likeliest tokens after each prompt."""

    def align(
        self, features: Any, start_sequence: list[int], text_tokens: list[list[int]], num_frames: int
    ) -> list[Any]:
        """Each given token's probability and place in the audio."""


@dataclass(frozen=True)
class _Clip:
    """A job behind the encoder: `encoding` is [1, 50 * seconds, width]."""

    job: Job
    seconds: int
    encoding: Floats
    language: str
    language_prob: float


class Recogniser:
    """Whisper on CTranslate2. Holds nothing between calls."""

    def __init__(
        self,
        engine: Engine,
        mel: Callable[[Samples], Floats],
        vocabulary: Vocabulary,
        to_view: Callable[[Floats], Any],
    ) -> None:
        """`mel` gives [bands, frames] of log-Mel, 100 frames a second; `to_view` makes CTranslate2's tensor."""
        self._engine = engine
        self._mel = mel
        self._vocabulary = vocabulary
        self._to_view = to_view

    def recognise(self, jobs: Sequence[Job]) -> list[Hypothesis | Exception]:
        """One answer for each job, in order: what was heard, or why that job alone failed.

        UnusableRequest is the caller's fault; RuntimeError and ValueError come from CTranslate2.
        """
        answers: dict[int, Hypothesis | Exception] = {}
        for place, job in enumerate(jobs):
            try:
                self._check(job)
            except UnusableRequest as fault:
                answers[place] = fault
        usable = [(place, job) for place, job in enumerate(jobs) if place not in answers]
        for batch in plan(usable, self._prompt_length):
            answers.update(self._answers(batch, [jobs[place] for place in batch.places]))
        return [answers[place] for place in range(len(jobs))]

    def _check(self, job: Job) -> None:
        """Raises UnusableRequest when the job cannot be served."""
        check(job.samples)
        if not 1 <= job.beam_size <= LARGEST_BEAM:
            raise UnusableRequest(f"BEAM_SIZE must lie in 1..{LARGEST_BEAM}, not {job.beam_size}")
        if job.language:
            self._vocabulary.language(job.language)

    def _prompt_length(self, job: Job) -> int:
        return len(self._vocabulary.previous(job.previous_text))

    def _answers(self, batch: Batch, jobs: list[Job]) -> dict[int, Hypothesis | Exception]:
        try:
            clips = [self._clip(job, batch.seconds) for job in jobs]
            heard = [self._settled(clip, found) for clip, found in zip(clips, self._decode(clips), strict=True)]
        except (RuntimeError, ValueError) as fault:
            return dict.fromkeys(batch.places, fault)
        return dict(zip(batch.places, heard, strict=True))

    def _clip(self, job: Job, seconds: int) -> _Clip:
        encoding = self._encode(job.samples, seconds)
        if job.language:
            return _Clip(job, seconds, encoding, job.language, 1.0)
        token, probability = self._engine.detect_language(self._to_view(encoding))[0][0]
        return _Clip(job, seconds, encoding, token.strip("<|>"), probability)

    def _encode(self, samples: Samples, seconds: int) -> Floats:
        """The encoder's output for `samples` and, up to `seconds`, zeros in the log-Mel, which is how training pads."""
        frames = seconds * FRAMES_PER_SECOND
        heard = self._mel(samples)[:, :frames]
        features = np.zeros((1, heard.shape[0], frames), np.float32)
        features[0, :, : heard.shape[1]] = heard
        return np.asarray(self._engine.encode(self._to_view(features), to_cpu=True))

    def _decode(self, clips: list[_Clip], *, previous: bool = True, **options: Any) -> list[Hypothesis]:
        """Decodes clips of one beam size, one prompt length and one context together."""
        prompts = [self._vocabulary.prompt(clip.language, clip.job.previous_text if previous else "") for clip in clips]
        results = self._engine.generate(
            self._to_view(np.concatenate([clip.encoding for clip in clips])),
            prompts,
            beam_size=clips[0].job.beam_size,
            max_length=length_limit(max(clip.job.samples.size for clip in clips), len(prompts[0])),
            suppress_tokens=self._vocabulary.unspeakable,
            return_scores=True,
            return_no_speech_prob=True,
            **options,
        )
        return [self._hypothesis(clip, result) for clip, result in zip(clips, results, strict=True)]

    def _hypothesis(self, clip: _Clip, result: Any) -> Hypothesis:
        language = self._vocabulary.language(clip.language)
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

    def _settled(self, clip: _Clip, found: Hypothesis) -> Hypothesis:
        """`found`, or what is heard instead where it got stuck: with all 30 s of context and no text before, and if
        that does not help, with repetition forbidden. Then its words, if they are wanted."""
        if _stuck(found, clip):
            clip = replace(clip, seconds=LONGEST_SECONDS, encoding=self._encode(clip.job.samples, LONGEST_SECONDS))
            found = self._decode([clip], previous=False)[0]
        if _stuck(found, clip):
            found = self._decode([clip], previous=False, **AVOID_REPETITION)[0]
        return self._timed(clip, found) if clip.job.word_times and found.tokens else found

    def _timed(self, clip: _Clip, found: Hypothesis) -> Hypothesis:
        """Adds the words and the tokens' probabilities."""
        language = self._vocabulary.language(clip.language)
        duration = clip.job.samples.size / SAMPLE_RATE
        frames = min(clip.seconds * FRAMES_PER_SECOND, math.ceil(duration * FRAMES_PER_SECOND))
        path = self._engine.align(self._to_view(clip.encoding), language.sot_sequence, [found.tokens], frames)[0]
        texts, tokens = language.split_to_word_tokens(found.tokens)
        pieces = [Piece(text, len(its_tokens)) for text, its_tokens in zip(texts, tokens, strict=True)]
        return replace(
            found,
            words=time_words(pieces, path.text_token_probs, path.alignments, duration),
            token_logprobs=[math.log(max(probability, 1e-10)) for probability in path.text_token_probs],
        )


def token_room(sample_count: int) -> int:
    """More tokens than anybody says in so many samples: 8 a second, and 16."""
    return SPARE_TOKENS + math.ceil(TOKENS_PER_SECOND * sample_count / SAMPLE_RATE)


def length_limit(sample_count: int, prompt_length: int) -> int:
    """The `max_length` that leaves room for such a clip.

    CTranslate2 decodes at most half of `max_length`, and at most `max_length` less the prompt.
    """
    room = token_room(sample_count)
    return min(LONGEST_DECODE, room + max(room, prompt_length))


def _stuck(found: Hypothesis, clip: _Clip) -> bool:
    """Whether the decoder loops, or went on until it ran out of room."""
    return len(found.tokens) >= token_room(clip.job.samples.size) or is_looping(found.text, found.tokens)
