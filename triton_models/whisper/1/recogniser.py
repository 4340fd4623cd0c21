"""Speech into text with CTranslate2: encode clips, decode them together, what looped again, time the words."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from decoder import Clip, Decoder, Engine, Floats
from jobs import Batch, Hypothesis, Job, grouped, plan
from loops import is_stuck
from vocabulary import likeliest
from waveform import FRAMES_PER_SECOND, LONGEST_SECONDS, Samples, UnusableRequest

AVOID_REPETITION = {"repetition_penalty": 1.1, "no_repeat_ngram_size": 3}


class Recogniser:
    """Whisper on CTranslate2. Holds nothing between calls."""

    def __init__(
        self,
        engine: Engine,
        full: Decoder,
        cuts: Sequence[Decoder],
        mel: Callable[[Samples], Floats],
        to_view: Callable[[Floats], Any],
        encoded_together: int,
    ) -> None:
        """`engine` encodes and hears the language. A language that one of `cuts` knows is decoded by it, all others by
        `full`. `mel` gives [bands, frames] of log-Mel, 100 frames a second; `to_view` makes CTranslate2's tensor.
        `encoded_together` is how many clips one call encodes: 1 on a CPU, which gains nothing by more.
        """
        self._engine = engine
        self._full = full
        self._cuts = cuts
        self._mel = mel
        self._to_view = to_view
        self._encoded_together = encoded_together

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
        for batch in plan(usable, self._kind):
            answers.update(self._answers(batch, [jobs[place] for place in batch.places]))
        return [answers[place] for place in range(len(jobs))]

    def _check(self, job: Job) -> None:
        """Raises UnusableRequest when the job cannot be served."""
        job.check()
        self._full.vocabulary.candidates(job.language)

    def _kind(self, job: Job) -> Hashable:
        """What jobs that are decoded together have in common, as far as it is known before their language is."""
        decoders = {self._decoder(code) for code in self._full.vocabulary.candidates(job.language)}
        decoder = decoders.pop() if len(decoders) == 1 else None
        context = (decoder or self._full).vocabulary.context(job.hotwords, job.previous_text)
        return decoder, job.beam_size, len(context)

    def _decoder(self, language: str) -> Decoder:
        return next((cut for cut in self._cuts if cut.vocabulary.knows(language)), self._full)

    def _answers(self, batch: Batch, jobs: list[Job]) -> dict[int, Hypothesis | Exception]:
        try:
            encodings = self._encode([job.samples for job in jobs], batch.seconds)
            heard = self._heard([self._clip(*each, batch.seconds) for each in zip(jobs, encodings, strict=True)])
        except (RuntimeError, ValueError) as fault:
            return dict.fromkeys(batch.places, fault)
        return dict(zip(batch.places, heard, strict=True))

    def _heard(self, clips: list[Clip]) -> list[Hypothesis]:
        """Decodes clips of one beam size and one context."""
        found: dict[Clip, Hypothesis] = {}
        for alike in grouped(clips, lambda clip: (clip.decoder, len(clip.prompt))):
            found.update(zip(alike, alike[0].decoder.decode(alike), strict=True))
        return _timed([self._settled(clip, found[clip]) for clip in clips])

    def _clip(self, job: Job, encoding: Floats, seconds: int) -> Clip:
        language, probability = self._language(job, encoding)
        decoder = self._decoder(language)
        prompt = decoder.vocabulary.prompt(language, job.hotwords, job.previous_text)
        return Clip(job, seconds, encoding, language, probability, decoder, prompt)

    def _language(self, job: Job, encoding: Floats) -> tuple[str, float]:
        """The likeliest of the job's languages, and its probability among them."""
        candidates = self._full.vocabulary.candidates(job.language)
        if len(candidates) == 1:
            return candidates[0], 1.0
        ranked = self._engine.detect_language(self._to_view(encoding[np.newaxis]))[0]
        return likeliest([(token.strip("<|>"), probability) for token, probability in ranked], candidates)

    def _encode(self, clips: Sequence[Samples], seconds: int) -> list[Floats]:
        """The encoder's output for each clip."""
        features = [self._features(samples, seconds) for samples in clips]
        encodings: list[Floats] = []
        for start in range(0, len(features), self._encoded_together):
            some = np.stack(features[start : start + self._encoded_together])
            encodings.extend(np.asarray(self._engine.encode(self._to_view(some), to_cpu=True)))
        return encodings

    def _features(self, samples: Samples, seconds: int) -> Floats:
        """The log-Mel of `samples` and, up to `seconds`, zeros in it, which is how training pads."""
        frames = seconds * FRAMES_PER_SECOND
        heard = self._mel(samples)[:, :frames]
        features = np.zeros((heard.shape[0], frames), np.float32)
        features[:, : heard.shape[1]] = heard
        return features

    def _settled(self, clip: Clip, found: Hypothesis) -> tuple[Clip, Hypothesis]:
        """`found`, or what is heard instead where it got stuck: with all 30 s of context and nothing to go by, and if
        that does not help, with repetition forbidden."""
        if is_stuck(found.text, found.tokens, clip.job.samples.size):
            encoding = self._encode([clip.job.samples], LONGEST_SECONDS)[0]
            bare = clip.decoder.vocabulary.prompt(clip.language)
            clip = replace(clip, seconds=LONGEST_SECONDS, encoding=encoding, prompt=bare)
            found = clip.decoder.decode([clip])[0]
        if is_stuck(found.text, found.tokens, clip.job.samples.size):
            found = clip.decoder.decode([clip], **AVOID_REPETITION)[0]
        return clip, found


def _timed(settled: list[tuple[Clip, Hypothesis]]) -> list[Hypothesis]:
    """The hypotheses, with words where there are any."""
    timed: dict[Clip, Hypothesis] = {}
    wanted = [(clip, found) for clip, found in settled if found.tokens]
    for alike in grouped(wanted, lambda pair: (pair[0].language, pair[0].seconds)):
        clips, found = zip(*alike, strict=True)
        timed.update(zip(clips, clips[0].decoder.time(clips, found), strict=True))
    return [timed.get(clip, found) for clip, found in settled]
