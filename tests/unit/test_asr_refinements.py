"""Better texts of finals: which are told, in which order, and what is asked for them."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from servers.asr import audio, refinements
from servers.asr.audio import SAMPLE_RATE, SampleBuffer
from servers.asr.load import Load, LoadLimits
from servers.asr.passage import Passage
from servers.asr.refinements import MAX_HEARING, MAX_PATIENT, Refinements
from servers.asr.results import Final, Happening, Refinement
from servers.asr.scheduling import Lanes, Scheduler
from servers.asr.utterance import Manner, Utterance
from tests.fakes.recognizers import GatedRecognizer, come_true, heard, settled
from tests.fakes.refiners import TaughtRefiner


class Channel:
    """Refinements of one channel, and what they told."""

    def __init__(self) -> None:
        self.model = GatedRecognizer()
        self.scheduler = Scheduler(self.model, Lanes(), Load(LoadLimits()), retry_s=0.0)
        self.refiner = TaughtRefiner()
        self.told: list[Refinement] = []
        self.refinements = Refinements(self.refiner, self.scheduler, Manner(), self._tell)

    def no_time(self) -> None:
        """The model is asked for so much that what was not torn apart is not heard again."""
        self.scheduler.load.feel(0.5)
        assert not self.scheduler.load.at_ease
        assert not self.scheduler.load.hurried

    def time_again(self) -> None:
        """The model has nothing to do."""
        for _ in range(20):
            self.scheduler.load.feel(0.0)
        assert self.scheduler.load.at_ease

    async def _tell(self, happening: Happening) -> None:
        assert isinstance(happening, Refinement)
        self.told.append(happening)

    def passage(self, *texts: str, first: int = 0, over: bool = True) -> list[Final]:
        """Finals of a second each, in a passage that is closed, and not told yet."""
        buffer = SampleBuffer(0)
        buffer.append(np.zeros(len(texts) * SAMPLE_RATE + SAMPLE_RATE, np.float32))
        self.said = Passage()
        for place in range(len(texts)):
            utterance = Utterance(self.scheduler, buffer, place * SAMPLE_RATE, Manner(), "", 0)
            utterance.end = place * SAMPLE_RATE + audio.samples(900)
            self.said.utterances.append(utterance)
        self.said.close(buffer, over=over)
        self.refinements.of_passage(self.said)
        return [
            Final(first + place, text, (), place * 1_000, place * 1_000 + 900, "vi", 0.5)
            for place, text in enumerate(texts)
        ]

    def tell(self, *finals: Final) -> None:
        """The client has these finals, the last ones of the passage."""
        for final in finals:
            self.refinements.of_final(self.said, final)
            self.said.settle(self.said.utterances[len(self.said.finals)], final)

    async def texts(self) -> list[tuple[int, str]]:
        """What is told, once it is done."""
        await self.refinements.done(5)
        return [(each.final_index, each.text) for each in self.told]


@pytest.fixture
async def channel(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Channel]:
    monkeypatch.setattr(refinements, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(refinements, "LAST_PATIENCE_S", 0.01)
    channel = Channel()
    yield channel
    channel.refinements.close()
    await settled()


async def test_a_final_is_refined_by_itself_and_told_once(channel: Channel) -> None:
    channel.no_time()
    channel.refiner.taught["Có hai mươi ba con."] = "Có 23 con."
    (final,) = channel.passage("Có hai mươi ba con.", first=7)
    channel.tell(final)
    assert await channel.texts() == [(7, "Có 23 con.")]
    assert set(channel.refiner.asked) == {("Có hai mươi ba con.", True)}
    (told,) = channel.told
    assert (told.language, told.confidence, told.words) == ("vi", 0.5, final.words)
    assert 0 < told.times.post_s < 5
    assert channel.model.begun == []


async def test_what_needs_no_better_text_gets_none(channel: Channel) -> None:
    channel.no_time()
    channel.tell(*channel.passage("Xin chào."))
    assert await channel.texts() == []


async def test_a_piece_is_no_sentence_until_silence_has_followed_it(channel: Channel) -> None:
    channel.no_time()
    channel.tell(*channel.passage("xin chào"))
    await channel.texts()
    assert channel.refiner.asked == [("xin chào", False), ("xin chào", True)]


async def test_what_was_cut_for_its_length_may_go_on(channel: Channel) -> None:
    channel.no_time()
    channel.tell(*channel.passage("xin chào", over=False))
    await channel.texts()
    assert channel.refiner.asked == [("xin chào", False), ("xin chào", False)]


async def test_what_was_heard_again_is_refined_too_and_comes_last(channel: Channel) -> None:
    taught = {"mười": "10", "hai mươi": "20", "ba mươi": "30", "bốn mươi": "40"}
    channel.refiner.taught |= taught
    channel.refiner.ready.clear()
    channel.tell(*channel.passage("mười", "hai mươi"))
    await settled()
    await channel.model.give(heard("ba mươi bốn mươi", word_s=0.5))
    await come_true(lambda: len(channel.refiner.asked) == 2)
    await settled()
    assert channel.told == []
    channel.refiner.ready.set()
    assert await channel.texts() == [(0, "10"), (1, "20"), (0, "30"), (1, "40")]


async def test_what_was_heard_again_and_reads_the_same_is_not_told(channel: Channel) -> None:
    channel.refiner.taught |= {"mười": "10", "hai mươi": "20"}
    channel.tell(*channel.passage("mười", "hai chục"))
    await settled()
    await channel.model.give(heard("mười hai mươi", word_s=2 / 3))
    assert await channel.texts() == [(0, "10"), (1, "20")]


async def test_a_refiner_that_goes_away_takes_nothing_back(channel: Channel) -> None:
    channel.no_time()
    channel.refiner.taught["mười"] = "10"
    (final,) = channel.passage("mười")
    channel.refinements.of_final(channel.said, final)
    await come_true(lambda: channel.told)
    channel.refiner.taught.clear()
    channel.said.settle(channel.said.utterances[0], final)
    assert await channel.texts() == [(0, "10")]
    assert len(channel.refiner.asked) == 2


async def test_words_that_went_to_a_neighbour_leave_nothing_to_refine(channel: Channel) -> None:
    channel.tell(*channel.passage("mười", "hai mươi"))
    await settled()
    await channel.model.give(heard("ba mươi", word_s=0.4))
    assert await channel.texts() == [(0, "ba mươi"), (1, "")]
    assert "" not in {text for text, _ in channel.refiner.asked}


async def test_a_model_that_is_away_leaves_the_finals_own_texts(channel: Channel) -> None:
    channel.refiner.taught |= {"mười": "10", "hai mươi": "20"}
    channel.model.failures = 1
    channel.tell(*channel.passage("mười", "hai mươi"))
    assert await channel.texts() == [(0, "10"), (1, "20")]
    assert len(channel.model.begun) == 1
    assert channel.refiner.asked[2:] == [("mười", False), ("hai mươi", False)]  # the passage is over all the same


async def test_a_final_alone_is_heard_again_while_the_model_is_at_ease(channel: Channel) -> None:
    (final,) = channel.passage("mười")
    channel.tell(final)
    await settled()
    await channel.model.give(heard("hai mươi", word_s=0.4))
    assert await channel.texts() == [(0, "hai mươi")]
    assert [request.careful and request.background for request in channel.model.begun] == [True]


async def test_a_final_alone_waits_until_the_model_is_at_ease(channel: Channel) -> None:
    channel.no_time()
    channel.refiner.taught |= {"mười": "10", "hai mươi": "20"}
    channel.tell(*channel.passage("mười"))
    await come_true(lambda: channel.told)
    assert channel.model.begun == []
    channel.time_again()
    await come_true(lambda: channel.model.begun)
    await channel.model.give(heard("hai mươi", word_s=0.4))
    assert await channel.texts() == [(0, "10"), (0, "20")]


async def test_a_final_alone_does_not_wait_for_ever(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refinements, "PATIENCE_S", 0.01)
    monkeypatch.setattr(refinements, "LAST_PATIENCE_S", 60.0)
    channel.no_time()
    channel.tell(*channel.passage("mười"))
    await asyncio.wait_for(channel.refinements.done(60), 20)
    assert channel.model.begun == []


async def test_at_the_end_it_does_not_wait_long(channel: Channel) -> None:
    channel.no_time()
    channel.tell(*channel.passage("mười"))
    await settled()
    await asyncio.wait_for(channel.refinements.done(60), 2)  # in three seconds the model would be at ease
    assert channel.model.begun == []


async def test_what_was_no_speech_waits_for_nothing(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refinements, "LAST_PATIENCE_S", 60.0)
    channel.no_time()
    channel.passage("mười")
    channel.said.settle(channel.said.utterances[0], None)
    await asyncio.wait_for(channel.refinements.done(60), 2)  # in three seconds the model would be at ease
    assert channel.refiner.asked == []


async def test_few_finals_wait_until_the_model_is_at_ease(channel: Channel) -> None:
    channel.model.open, channel.model.answer = True, heard("hai mươi", word_s=0.4)
    channel.no_time()
    for number in range(MAX_PATIENT + 2):
        channel.tell(*channel.passage("mười", first=number))
    await settled()
    channel.time_again()
    await come_true(lambda: len(channel.told) == MAX_PATIENT)
    assert await channel.texts() == [(number, "hai mươi") for number in range(MAX_PATIENT)]
    assert len(channel.model.begun) == MAX_PATIENT


async def test_few_passages_wait_to_be_heard_again(channel: Channel) -> None:
    channel.refiner.taught |= {"a": "A.", "b": "B."}
    passages = MAX_HEARING + 2
    for number in range(passages):
        channel.tell(*channel.passage("a", "b", first=2 * number))
    await come_true(lambda: len(channel.told) == 2 * passages)
    for _ in range(MAX_HEARING):
        await channel.model.give(heard("c d", word_s=1.0))
    await channel.texts()
    assert len(channel.model.begun) == MAX_HEARING
    assert {each.final_index for each in channel.told if each.text in "cd"} == set(range(2 * MAX_HEARING))
    channel.tell(*channel.passage("a", "b", first=100))
    await settled()
    assert len(channel.model.begun) == MAX_HEARING + 1


async def test_nothing_goes_on_after_the_end(channel: Channel) -> None:
    channel.refiner.ready.clear()
    channel.tell(*channel.passage("a", "b"))
    await settled()
    channel.refinements.close()
    channel.refiner.ready.set()
    await asyncio.wait_for(channel.refinements.done(5), 1)
    assert channel.told == []
