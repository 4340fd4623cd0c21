"""Speech into text with ONNX Runtime: several clips at once, what looped again, words with their times."""

import math
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Protocol

from continuous import Answer, Batch, Talk
from ears import Ears, Heard
from jobs import GivenUp, Hypothesis, Job
from loops import compression_ratio, is_stuck
from onnx_whisper import Said, Writer
from passes import Pass, Ran
from vocabulary import likeliest

BEAM_OF_STUCK = 3
"""At least so many hypotheses are followed where one got stuck: the greediest loop most."""


class OnnxRecogniser:
    """See `recogniser.Recogniser`. Holds nothing between calls."""

    def __init__(self, ears: Ears, whole: Writer, cuts: Sequence[Writer]) -> None:
        """A language that one of `cuts` knows is written by it, all others by `whole`, which also hears languages."""
        self._ears = ears
        self._whole = whole
        self._cuts = cuts

    def recognise(self, jobs: Sequence[Job]) -> list[Hypothesis | Exception]:
        """One answer for each job, in order: what was heard, or why that job alone failed.

        UnusableRequest is the caller's fault; RuntimeError and ValueError come from ONNX Runtime. GivenUp is nobody's.
        """
        answers: dict[int, Hypothesis | Exception] = {}
        batch: Batch[Hypothesis] = Batch()

        def note(place: int) -> Answer[Hypothesis]:
            return lambda answer, _: answers.update({place: answer})

        for place, job in enumerate(jobs):
            batch.begin(batch.join(self.hearing(job), note(place)))
        while batch:
            batch.go_on()
        return [answers[place] for place in range(len(jobs))]

    def hearing(self, job: Job) -> Talk[Hypothesis]:
        """What becomes of a job, stopping at each pass of a decoder that it wants. Raises what `recognise` gives."""
        job.check()
        if job.given_up():
            raise GivenUp
        candidates = self._whole.vocabulary.candidates(job.language)
        heard = self._ears.hear(job.samples)
        language, probability = yield from self._language(heard, candidates)
        writer = next((cut for cut in self._cuts if cut.vocabulary.knows(language)), self._whole)
        prompt = writer.vocabulary.prompt(language, job.hotwords, job.previous_text)
        said, found = yield from _written(writer, heard, language, prompt, job)
        if is_stuck(found.text, found.tokens, job.samples.size):
            heard = self._ears.hear(job.samples, again=True)
            job = replace(job, draft="", beam_size=max(job.beam_size, BEAM_OF_STUCK))
            prompt = writer.vocabulary.prompt(language)
            said, found = yield from _written(writer, heard, language, prompt, job)
        if is_stuck(found.text, found.tokens, job.samples.size):
            said, found = yield from _written(writer, heard, language, prompt, job, no_loops=True)
        found = replace(found, language_prob=probability)
        return _timed(writer, said, found, job) if found.tokens else found

    def _language(self, heard: Heard, candidates: tuple[str, ...]) -> Generator[Pass, Ran, tuple[str, float]]:
        """The likeliest of `candidates`, of all languages where there are none, and its probability among them."""
        if len(candidates) == 1:
            return candidates[0], 1.0
        ranked = yield from self._whole.languages(heard)
        return likeliest(ranked, candidates)


class Recognises(Protocol):
    """What OnnxRecogniser and Recogniser have in common."""

    def recognise(self, jobs: Sequence[Job]) -> list[Hypothesis | Exception]:
        """One answer for each job, in order."""
        ...


class ByCare:
    """Greedy jobs go to one recogniser, those with a beam to another. For what nobody waits for: partials want to be
    soon, and refinements right, for which the loss of ONNX Runtime's integers is a point of word errors too much."""

    def __init__(self, soon: Recognises, right: Recognises) -> None:
        self._soon = soon
        self._right = right

    def recognise(self, jobs: Sequence[Job]) -> list[Hypothesis | Exception]:
        """One answer for each job, in order."""
        return [(self._right if job.beam_size > 1 else self._soon).recognise([job])[0] for job in jobs]


def _written(
    writer: Writer, heard: Heard, language: str, prompt: list[int], job: Job, *, no_loops: bool = False
) -> Generator[Pass, Ran, tuple[Said, Hypothesis]]:
    said = yield from writer.write(heard, language, prompt, job, no_loops=no_loops)
    text = writer.vocabulary.language(language).decode(said.ended.tokens).strip()
    return said, Hypothesis(
        text=text,
        tokens=said.ended.tokens,
        # Over the tokens and the text's end, for which thresholds are known.
        avg_logprob=said.ended.score / (len(said.ended.tokens) + 1),
        no_speech_prob=said.no_speech_prob,
        compression_ratio=compression_ratio(text),
        language=language,
        language_prob=1.0,
        context_seconds=heard.seconds,
    )


def _timed(writer: Writer, said: Said, found: Hypothesis, job: Job) -> Hypothesis:
    pieces = writer.vocabulary.pieces(found.language, found.tokens)
    probabilities = [math.exp(score) for score in said.ended.scores[: len(found.tokens)]]
    return found.timed(pieces, probabilities, said.path(), job.duration)
