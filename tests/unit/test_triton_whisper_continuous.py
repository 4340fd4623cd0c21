"""Continuous batching: clips join and leave a batch between its turns, and say what they say alone."""

import itertools
import threading
from collections.abc import Callable, Generator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import continuous
from continuous import Batch, QueueFull, Spent, Workers
from jobs import Hypothesis, Job
from passes import Memory, Pass, Ran, joined
from tests.unit.test_triton_whisper_onnx import Decoder, recognised, whisper
from tests.unit.test_triton_whisper_recogniser import clip, heard

TEXT = "xin chao cac ban"
PATIENCE_S = 20


def shared(given: Mapping[str, Any]) -> bool:
    return bool(given["shares"].all())


def answered(batch: Batch[Hypothesis], *talks: Generator[Pass, Ran, Hypothesis]) -> list[Any]:
    """What came of talks of which each began two turns after the one before."""
    answers: list[Any] = [None] * len(talks)

    def note(place: int) -> Callable[[Any, Spent], None]:
        return lambda outcome, _: answers.__setitem__(place, outcome)

    for place, talk in enumerate(talks):
        batch.begin(batch.join(talk, note(place)))
        batch.go_on()
        batch.go_on()
    while batch:
        batch.go_on()
    return answers


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("clips", [2, 3, 5])
def test_clips_that_come_one_after_the_other_share_passes_and_say_what_they_say_alone(beam: int, clips: int) -> None:
    alone = recognised(whisper(Decoder(TEXT))[0], Job(clip(2), "vi", beam_size=beam))
    decoder = Decoder(TEXT)
    recogniser, _ = whisper(decoder)
    jobs = [Job(clip(2), "vi", beam_size=beam) for _ in range(clips)]
    answers = answered(Batch(), *map(recogniser.hearing, jobs))
    assert [heard(answer).text for answer in answers] == [TEXT] * clips
    assert [heard(answer).words for answer in answers] == [alone.words] * clips
    passes = clips * (len(alone.tokens) + 1)
    assert any(map(shared, decoder.heard))
    assert len(decoder.heard) <= passes * 0.75


def test_clips_with_beams_of_different_width_go_together() -> None:
    decoder = Decoder(TEXT)
    recogniser, _ = whisper(decoder)
    wide, narrow = answered(Batch(), *(recogniser.hearing(Job(clip(2), "vi", beam_size=beam)) for beam in (3, 1)))
    assert heard(wide).text == heard(narrow).text == TEXT
    assert any(map(shared, decoder.heard))


def test_a_pass_that_fails_for_several_is_tried_for_each_alone() -> None:
    decoder = Decoder(TEXT)
    recogniser, _ = whisper(decoder)
    decoder.fault = shared
    answers = answered(Batch(), *(recogniser.hearing(Job(clip(2), "vi")) for _ in range(2)))
    assert [heard(answer).text for answer in answers] == [TEXT] * 2


def test_a_clip_that_fails_does_so_alone() -> None:
    decoder = Decoder(TEXT)
    recogniser, _ = whisper(decoder)
    answer = recognised(recogniser, Job(clip(3), "vi"))
    longer = decoder.heard[-1]["bias.0"].size
    decoder.fault = lambda given: any(given[f"bias.{place}"].size == longer for place in range(2))
    good, bad = answered(Batch(), *(recogniser.hearing(Job(clip(length), "vi")) for length in (2, 3)))
    assert heard(good).text == answer.text
    assert isinstance(bad, RuntimeError)


def test_what_is_remembered_is_filled_up_in_front() -> None:
    def memory(*texts: list[float]) -> Memory:
        array = np.array(texts, np.float32)[:, np.newaxis, :, np.newaxis]
        return Memory([array], list(range(len(texts))), array.shape[2])

    (both,), lengths = joined([memory([1, 2, 3], [4, 5, 6]).of([1, 0, 0]), memory([7])])
    assert both[:, 0, :, 0].tolist() == [[4, 5, 6], [1, 2, 3], [1, 2, 3], [0, 0, 7]]
    assert lengths.tolist() == [3, 3, 3, 1]
    together = Memory([both], [0, 1, 2], 3), Memory([both], [3], 1)
    assert joined([together[1]])[0][0].tolist() == [[[[7.0]]]]
    (cut,), _ = joined([together[0].until(2)])
    assert cut[:, 0, :, 0].tolist() == [[4, 5], [1, 2], [1, 2]]


def test_a_pass_that_several_share_is_parted_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(continuous, "time", SimpleNamespace(perf_counter=lambda: float(next(ticks))))

    def spent(clips: int) -> tuple[list[Spent], int]:
        decoder, told = Decoder(TEXT), list[Spent]()
        recogniser, _ = whisper(decoder)
        batch: Batch[Hypothesis] = Batch()
        for _ in range(clips):
            batch.begin(batch.join(recogniser.hearing(Job(clip(2), "vi")), lambda _, of: told.append(of)))
        while batch:
            batch.go_on()
        return told, sum(map(shared, decoder.heard))

    (alone,), none = spent(1)
    two, together = spent(2)
    assert (none, together > 0) == (0, True)
    assert [of.worked for of in two] == [alone.worked - together / 2] * 2  # every pass takes one tick
    assert all(of.worked < of.took for of in two)


def test_what_goes_wrong_in_a_talk_is_its_answer() -> None:
    def wrong() -> Generator[Pass, Ran, Hypothesis]:
        raise KeyError("lost")
        yield

    recogniser, _ = whisper(Decoder(TEXT))
    lost, found = answered(Batch(), wrong(), recogniser.hearing(Job(clip(2), "vi")))
    assert isinstance(lost, KeyError)
    assert heard(found).text == TEXT


class Gate:
    """Talks that stop until the gate is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.both_begun = threading.Event()
        self.begun: list[int] = []
        self.answers: list[Any] = []

    def talk(self, number: int) -> Generator[Pass, Ran, int]:
        self.begun.append(number)
        if len(self.begun) == 2:
            self.both_begun.set()
        self.opened.wait(PATIENCE_S)
        return number
        yield

    def answer(self, outcome: Any, _: Spent) -> None:
        self.answers.append(outcome)


def test_more_than_may_wait_are_refused_and_all_others_are_answered() -> None:
    gate = Gate()
    workers: Workers[int] = Workers(2, 1)
    for number in range(2):
        workers.take(gate.talk(number), gate.answer)
    assert gate.both_begun.wait(PATIENCE_S)
    for number in range(2, 2 + continuous.LONGEST_QUEUE):
        workers.take(gate.talk(number), gate.answer)
    with pytest.raises(QueueFull):
        workers.take(gate.talk(0), gate.answer)
    gate.opened.set()
    workers.stop()
    assert sorted(gate.answers) == list(range(2 + continuous.LONGEST_QUEUE))
    with pytest.raises(QueueFull):
        workers.take(gate.talk(0), gate.answer)


def test_two_workers_answer_many_at_a_time() -> None:
    recogniser, _ = whisper(Decoder(TEXT))
    workers: Workers[Hypothesis] = Workers(2, 2)
    answers: list[Any] = []
    for _ in range(12):
        workers.take(recogniser.hearing(Job(clip(2), "vi")), lambda outcome, _: answers.append(outcome))
    workers.stop()
    assert [heard(answer).text for answer in answers] == [TEXT] * 12
