"""One utterance: partials, speculation, the final, and the trimming of a long one."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from servers.asr import audio
from servers.asr.audio import SAMPLE_RATE, SampleBuffer
from servers.asr.load import Load, LoadLimits
from servers.asr.recognition import Hypothesis, Word
from servers.asr.results import Final, Partial
from servers.asr.scheduling import Lanes, Scheduler
from servers.asr.utterance import (
    BEHIND_PAUSE,
    CERTAIN_LOGPROB,
    PADDING,
    SETTLED_AT_PAUSE_S,
    TRIM_AFTER_S,
    UNTRIMMED_S,
    Manner,
    Utterance,
)
from servers.common.errors import DependencyUnavailable
from tests.fakes.recognizers import GatedRecognizer, heard, settled

START = 2 * SAMPLE_RATE
"""Where the utterance begins: 2 s after the session did."""


@dataclass
class Speaker:
    """Speaks into an utterance; the model answers when the test lets it."""

    model: GatedRecognizer
    buffer: SampleBuffer
    utterance: Utterance

    def speaks(self, seconds: float) -> None:
        self.buffer.append(np.full(audio.samples(1000 * seconds), 0.5, np.float32))

    def pauses(self) -> int:
        """Stops speaking; where."""
        end = self.buffer.end
        self.buffer.append(np.zeros(audio.samples(200), np.float32))
        self.utterance.pause(end, self.buffer.end)
        return end

    async def partial(self, answer: Hypothesis | str) -> Partial | None:
        """The partial that comes of this answer."""
        asking = asyncio.create_task(self.utterance.partial())
        await settled()
        await self.model.give(heard(answer) if isinstance(answer, str) else answer)
        return await asking

    async def final(self, answer: Hypothesis | str | None = None) -> Final | None:
        """The final, that comes of this answer if it is not there yet."""
        asking = asyncio.create_task(self.utterance.final(7))
        await settled()
        if answer is not None:
            await self.model.give(heard(answer) if isinstance(answer, str) else answer)
        return await asking


@pytest.fixture
def manner() -> Manner:
    return Manner()


@pytest.fixture
async def speaker(manner: Manner) -> AsyncIterator[Speaker]:
    model = GatedRecognizer()
    buffer = SampleBuffer()
    buffer.append(np.zeros(START, np.float32))
    scheduler = Scheduler(model, Lanes(), Load(LoadLimits()), retry_s=0.0)
    utterance = Utterance(scheduler, buffer, START, manner, likely_language="", channel=3)
    yield Speaker(model, buffer, utterance)
    utterance.abandon()
    await settled()


def shown(partial: Partial | None) -> tuple[str, str]:
    assert partial is not None
    return partial.stable, partial.unstable


# Partials.


async def test_partials_grow_stable_where_two_agree(speaker: Speaker) -> None:
    speaker.speaks(2.0)
    assert shown(await speaker.partial("một hai bà")) == ("", "một hai")
    speaker.speaks(1.0)
    assert shown(await speaker.partial("một hai ba bốn năm")) == ("một hai", " ba bốn")
    speaker.speaks(1.0)
    assert shown(await speaker.partial("một hai ba bốn năm")) == ("một hai ba bốn năm", "")


async def test_the_last_word_is_shown_where_there_is_no_other(speaker: Speaker) -> None:
    speaker.speaks(1.0)
    assert shown(await speaker.partial("mốt")) == ("", "mốt")
    speaker.speaks(1.0)
    assert shown(await speaker.partial("một hai")) == ("", "một")


async def test_a_partial_says_where_it_is(speaker: Speaker) -> None:
    speaker.speaks(2.5)
    partial = await speaker.partial("một")
    assert partial is not None
    assert (partial.start_ms, partial.end_ms, partial.channel) == (2_000, 4_500, 3)
    assert (partial.language, partial.complete, partial.words) == ("vi", False, ())
    (request,) = speaker.model.begun
    assert len(request.audio) == PADDING + 2.5 * SAMPLE_RATE
    assert (request.careful, request.word_times) == (False, False)


async def test_a_partial_hears_what_was_said_when_its_turn_came(speaker: Speaker) -> None:
    speaker.speaks(1.0)
    asking = asyncio.create_task(speaker.utterance.partial())
    speaker.speaks(1.0)
    await settled()
    await speaker.model.give()
    partial = await asking
    assert partial is not None
    assert partial.end_ms == 4_000


async def test_a_partial_that_shows_nothing_new_is_left_out(speaker: Speaker) -> None:
    speaker.speaks(2.0)
    assert await speaker.partial("một") is not None
    assert await speaker.partial("một") is None


async def test_a_partial_that_is_no_speech_is_left_out(speaker: Speaker) -> None:
    speaker.speaks(2.0)
    assert await speaker.partial("Hãy subscribe cho kênh của mình") is None
    assert await speaker.partial(heard("một", logprob=-3.0)) is None
    assert shown(await speaker.partial("một")) == ("", "một")


@pytest.mark.parametrize("manner", [Manner(partial_words=True)])
async def test_partials_have_words_when_they_are_asked_for(speaker: Speaker) -> None:
    speaker.speaks(2.0)
    partial = await speaker.partial("một hai ba")
    assert partial is not None
    assert speaker.model.begun[0].word_times
    assert [(word.text, word.start_ms) for word in partial.words] == [("một", 2_000), ("hai", 2_712)]
    assert all(2_000 <= word.start_ms <= word.end_ms <= 4_000 for word in partial.words)


@pytest.mark.parametrize("manner", [Manner("vi,en", "Ghiền, Mì Gõ")])
async def test_the_model_is_told_what_the_session_wants(speaker: Speaker) -> None:
    speaker.speaks(2.0)
    await speaker.partial("một")
    speaker.utterance.finish(speaker.pauses(), speaker.buffer.end)
    await speaker.final("một")
    partial, final = speaker.model.begun
    assert (partial.language, partial.hotwords) == ("", "Ghiền, Mì Gõ")
    assert (final.language, final.hotwords) == ("vi,en", "Ghiền, Mì Gõ")
    assert (final.careful, final.word_times) == (True, True)


# The pause, and what was begun there.


async def test_what_was_begun_at_the_pause_is_the_final_if_that_was_the_end(speaker: Speaker) -> None:
    speaker.speaks(2.0)
    end = speaker.pauses()
    await settled()
    await speaker.model.give(heard("một hai"))
    speaker.utterance.finish(end, speaker.buffer.end)
    final = await speaker.final()
    assert final is not None
    assert len(speaker.model.begun) == 1
    assert (final.final_index, final.text, final.channel) == (7, "một hai", 3)
    assert (final.start_ms, final.end_ms, final.language) == (2_000, 4_000, "vi")
    assert final.confidence == pytest.approx(0.905, abs=0.001)
    assert [word.text for word in final.words] == ["một", "hai"]


async def test_the_text_at_the_pause_is_shown_as_complete(speaker: Speaker) -> None:
    speaker.speaks(2.0)
    await speaker.partial("một")
    speaker.pauses()
    showing = asyncio.create_task(speaker.utterance.speculation())
    await settled()
    await speaker.model.give(heard("một hai."))
    partial = await showing
    assert partial is not None
    assert (shown(partial), partial.complete) == (("một hai.", ""), True)
    assert (partial.words, partial.end_ms) == ((), 4_200)


async def test_what_was_begun_at_a_pause_is_void_when_the_speaker_goes_on(speaker: Speaker) -> None:
    speaker.speaks(2.0)
    speaker.pauses()
    showing = asyncio.create_task(speaker.utterance.speculation())
    await settled()
    speaker.utterance.resume()
    await settled()
    assert await showing is None
    assert speaker.model.in_flight == 0
    speaker.speaks(2.0)
    speaker.utterance.finish(speaker.pauses(), speaker.buffer.end)
    final = await speaker.final("một hai ba")
    assert final is not None
    assert (final.text, len(speaker.model.begun)) == ("một hai ba", 2)
    assert len(speaker.model.begun[1].audio) == PADDING + audio.samples(4_200) + audio.samples(200)


async def test_a_second_pause_replaces_the_first(speaker: Speaker) -> None:
    speaker.speaks(1.0)
    speaker.pauses()
    await settled()
    speaker.utterance.resume()
    speaker.speaks(1.0)
    end = speaker.pauses()
    speaker.utterance.finish(end, speaker.buffer.end)
    final = await speaker.final("một hai")
    assert final is not None
    assert (final.text, final.end_ms) == ("một hai", audio.milliseconds(end))


async def test_an_end_that_is_not_where_the_pause_was_is_decoded_anew(speaker: Speaker) -> None:
    speaker.speaks(2.0)
    speaker.pauses()
    await settled()
    speaker.utterance.finish(START + SAMPLE_RATE, speaker.buffer.end)  # cut at its quietest place
    final = await speaker.final("một")
    assert final is not None
    assert (final.text, final.end_ms, len(speaker.model.begun)) == ("một", 3_000, 2)
    assert len(speaker.model.begun[1].audio) == PADDING + SAMPLE_RATE + PADDING


async def test_no_partial_is_asked_for_in_a_pause_nor_after_the_end(speaker: Speaker) -> None:
    speaker.speaks(2.0)
    end = speaker.pauses()
    assert await speaker.utterance.partial() is None
    speaker.utterance.finish(end, speaker.buffer.end)
    assert await speaker.utterance.partial() is None
    await settled()
    assert [request.careful for request in speaker.model.begun] == [True]


async def test_a_partial_that_comes_after_the_end_is_not_shown(speaker: Speaker) -> None:
    speaker.speaks(2.0)
    asking = asyncio.create_task(speaker.utterance.partial())
    await settled()
    speaker.utterance.finish(speaker.pauses(), speaker.buffer.end)
    await speaker.model.give(heard("một"))
    assert await asking is None


async def test_a_partial_that_comes_after_the_complete_one_is_not_shown(speaker: Speaker) -> None:
    speaker.speaks(2.0)
    late = asyncio.create_task(speaker.utterance.partial())
    await settled()
    speaker.pauses()
    showing = asyncio.create_task(speaker.utterance.speculation())
    await settled()
    slow, quick = speaker.model._waiting
    quick.set_result(heard("một hai"))
    await settled()
    slow.set_result(heard("một"))
    assert await showing is not None
    assert await late is None


async def test_silence_that_sounds_like_speech_has_no_final(speaker: Speaker) -> None:
    speaker.speaks(1.0)
    speaker.utterance.finish(speaker.pauses(), speaker.buffer.end)
    assert await speaker.final("Hãy subscribe cho kênh của mình") is None


async def test_the_errors_of_the_model_reach_whoever_wants_the_final(speaker: Speaker) -> None:
    speaker.model.failures = 1
    speaker.speaks(1.0)
    end = speaker.pauses()
    assert await speaker.utterance.speculation() is None
    speaker.utterance.finish(end, speaker.buffer.end)
    with pytest.raises(DependencyUnavailable):
        await speaker.final()


async def test_results_say_where_their_time_went(speaker: Speaker) -> None:
    speaker.speaks(2.0)
    speaker.utterance.finish(speaker.pauses(), speaker.buffer.end)
    final = await speaker.final(replace(heard("một"), inference_s=0.0125))
    assert final is not None
    assert final.times.inference_s == 0.0125
    assert 0 <= final.times.queue_s < 20
    assert 0 < final.times.post_s < 20


# Long utterances.

LONG = "một hai ba bốn năm sáu bảy tám chín mười"


def spaced(text: str, *, begin_s: float = 0.0, gap_before: int = -1, logprob: float = -0.1) -> Hypothesis:
    """Words of 1.3 s, from `begin_s` on; the one with the number `gap_before` comes after a gap of 0.4 s."""
    times = [begin_s + n * 1.3 for n in range(len(text.split()))]
    words = [
        Word(word, at + (0.4 if n == gap_before else 0.0), at + 1.3, 0.9)
        for n, (word, at) in enumerate(zip(text.split(), times, strict=True))
    ]
    return Hypothesis(text, "vi", tuple(words), logprob, 0.0, 1.0)


async def settle_first_words(speaker: Speaker, *, logprob: float = -0.1, second: str = f"{LONG} mươi") -> None:
    """Speak 13.5 s in which the gap before "sáu" is the widest, with two hypotheses."""
    speaker.speaks(13.0)
    await speaker.partial(spaced(LONG, gap_before=5, logprob=logprob))
    speaker.speaks(0.5)
    await speaker.partial(spaced(second, gap_before=5, logprob=logprob))


async def test_a_short_utterance_is_heard_whole(speaker: Speaker) -> None:
    speaker.speaks(TRIM_AFTER_S - 1)
    for more in ("bảy", "bảy tám"):
        speaker.speaks(0.2)
        await speaker.partial(spaced(f"một hai ba bốn năm sáu {more}"))
    assert speaker.utterance.needed_from == START - PADDING


async def test_what_a_long_utterance_settles_by_goes_before_other_partials() -> None:
    model = GatedRecognizer()
    scheduler = Scheduler(model, Lanes(background=1), Load(LoadLimits()), retry_s=0.0)
    asking: list[asyncio.Task[Partial | None]] = []
    for seconds in (1.0, 2.0, TRIM_AFTER_S + 1):
        buffer = SampleBuffer()
        buffer.append(np.full(audio.samples(1000 * seconds), 0.5, np.float32))
        utterance = Utterance(scheduler, buffer, 0, Manner(), likely_language="", channel=0)
        asking.append(asyncio.create_task(utterance.partial()))
        await settled()
    while not all(task.done() for task in asking):
        await model.give()
    assert [len(request.audio) / SAMPLE_RATE for request in model.begun] == [1.0, TRIM_AFTER_S + 1, 2.0]


async def test_a_long_utterance_settles_the_agreed_words_up_to_the_widest_gap(speaker: Speaker) -> None:
    await settle_first_words(speaker)
    begin_s = (speaker.utterance.needed_from - (START - PADDING)) / SAMPLE_RATE
    assert begin_s == pytest.approx(5 * 1.3 + 0.2, abs=0.001)  # the middle of the gap
    assert all(request.word_times for request in speaker.model.begun)


async def test_what_follows_is_heard_after_the_settled_words_and_told_them(speaker: Speaker) -> None:
    await settle_first_words(speaker)
    begin = speaker.utterance.needed_from
    speaker.speaks(0.5)
    partial = await speaker.partial("sáu bảy tám chín mười mươi")
    request = speaker.model.begun[-1]
    assert request.context == "một hai ba bốn năm"
    assert len(request.audio) == speaker.buffer.end - begin
    assert shown(partial) == ("một hai ba bốn năm sáu bảy tám chín mười mươi", "")


async def test_partials_join_over_the_cut_without_doubling(speaker: Speaker) -> None:
    await settle_first_words(speaker)
    speaker.speaks(0.5)
    first = await speaker.partial(spaced("sáu bảy tám chín muội", logprob=CERTAIN_LOGPROB - 0.1))  # settles no more
    assert shown(first) == ("một hai ba bốn năm sáu bảy tám chín", "")
    speaker.speaks(0.5)
    assert shown(await speaker.partial("xấu bảy tám")) == ("một hai ba bốn năm", " xấu bảy")


async def test_the_final_has_the_settled_words_and_the_rest_each_once(speaker: Speaker) -> None:
    await settle_first_words(speaker)
    speaker.speaks(1.0)
    end = speaker.pauses()
    speaker.utterance.finish(end, speaker.buffer.end)
    final = await speaker.final("sáu bảy tám chín mười một.")
    assert final is not None
    assert final.text == "một hai ba bốn năm sáu bảy tám chín mười một."
    assert [word.text for word in final.words] == final.text.split()
    times = [ms for word in final.words for ms in (word.start_ms, word.end_ms)]
    assert times == sorted(times)
    assert (times[0], final.start_ms, final.end_ms) == (2_000, 2_000, audio.milliseconds(end))
    assert times[-1] <= final.end_ms


async def test_the_complete_partial_of_a_trimmed_utterance_is_its_final(speaker: Speaker) -> None:
    await settle_first_words(speaker)
    end = speaker.pauses()
    showing = asyncio.create_task(speaker.utterance.speculation())
    await settled()
    await speaker.model.give(heard("sáu bảy."))
    complete = await showing
    speaker.utterance.finish(end, speaker.buffer.end)
    final = await speaker.final()
    assert complete is not None
    assert final is not None
    assert complete.stable == final.text == "một hai ba bốn năm sáu bảy."


async def test_settled_words_are_final_even_if_the_rest_is_no_speech(speaker: Speaker) -> None:
    await settle_first_words(speaker)
    speaker.utterance.finish(speaker.pauses(), speaker.buffer.end)
    final = await speaker.final(heard("bảy", logprob=-3.0))
    assert final is not None
    assert final.text == "một hai ba bốn năm"


async def test_a_doubtful_hypothesis_settles_nothing(speaker: Speaker) -> None:
    await settle_first_words(speaker, logprob=CERTAIN_LOGPROB - 0.1)
    assert speaker.utterance.needed_from == START - PADDING
    speaker.speaks(0.5)
    await speaker.partial(LONG)
    assert speaker.model.begun[-1].context == ""


async def test_words_that_two_hypotheses_do_not_agree_on_settle_nothing(speaker: Speaker) -> None:
    await settle_first_words(speaker, second=LONG.replace("một", "mốt"))
    assert speaker.utterance.needed_from == START - PADDING


async def test_the_newest_words_are_never_settled(speaker: Speaker) -> None:
    speaker.speaks(13.0)
    await speaker.partial(spaced(LONG, gap_before=9))
    speaker.speaks(0.5)
    await speaker.partial(spaced(LONG, gap_before=9))
    assert START < speaker.utterance.needed_from <= speaker.buffer.end - UNTRIMMED_S * SAMPLE_RATE
    speaker.speaks(0.5)
    await speaker.partial("mười")
    assert speaker.model.begun[-1].context in ("một hai ba bốn năm sáu", "một hai ba bốn năm sáu bảy")


async def test_nothing_is_settled_in_a_pause(speaker: Speaker) -> None:
    speaker.speaks(13.0)
    await speaker.partial(spaced(LONG))
    speaker.speaks(0.5)
    late = asyncio.create_task(speaker.utterance.partial())
    await settled()
    speaker.pauses()
    await settled()
    await speaker.model.give(spaced(LONG))
    await late
    assert speaker.utterance.needed_from == START - PADDING


async def test_words_that_do_not_add_up_to_the_text_settle_nothing(speaker: Speaker) -> None:
    speaker.speaks(13.0)
    odd = replace(spaced(LONG), words=spaced(LONG).words[:-1])
    await speaker.partial(odd)
    speaker.speaks(0.5)
    await speaker.partial(odd)
    assert speaker.utterance.needed_from == START - PADDING


async def test_a_very_long_utterance_is_trimmed_again_and_again(speaker: Speaker) -> None:
    numbers = [f"w{n}" for n in range(60)]
    heard_until = 0
    for second in range(1, 27):
        speaker.speaks(1.0)
        before = speaker.utterance.needed_from
        base_s = max(0.0, (before - START) / SAMPLE_RATE)
        first = len(speaker.model.begun[-1].context.split()) if speaker.model.begun else 0
        first = max(first, heard_until)
        # One word a second, which ends with it.
        words = [
            Word(numbers[n], n - base_s + PADDING / SAMPLE_RATE * (base_s == 0), n + 0.9 - base_s, 0.9)
            for n in range(first, second)
        ]
        text = " ".join(word.text for word in words)
        await speaker.partial(Hypothesis(text, "vi", tuple(words), -0.1, 0.0, 1.0))
        heard_until = round((speaker.utterance.needed_from - START) / SAMPLE_RATE)
        heard_until = max(0, heard_until)
    assert max(len(request.audio) for request in speaker.model.begun) < (TRIM_AFTER_S + 2) * SAMPLE_RATE
    speaker.utterance.finish(speaker.pauses(), speaker.buffer.end)
    final = await speaker.final(" ".join(numbers[heard_until:26]))
    assert final is not None
    assert final.text.split() == numbers[:26]


# What was said before a pause that was no end.


async def go_on_after_a_pause(speaker: Speaker, answer: Hypothesis, *, first_s: float = SETTLED_AT_PAUSE_S + 1) -> int:
    """Speak, pause, and go on before the model has answered; where the pause began."""
    speaker.speaks(first_s)
    end = speaker.pauses()
    await settled()
    speaker.utterance.resume()
    await speaker.model.give(answer)
    return end


async def test_a_pause_settles_all_that_a_long_utterance_has_said(speaker: Speaker) -> None:
    end = await go_on_after_a_pause(speaker, heard("một hai ba bốn năm"))
    speaker.speaks(1.0)
    assert shown(await speaker.partial("sáu bảy")) == ("một hai ba bốn năm", " sáu")
    last = speaker.model.begun[-1]
    assert (last.context, last.draft) == ("một hai ba bốn năm", "")
    assert len(last.audio) == speaker.buffer.end - end - BEHIND_PAUSE
    speaker.utterance.finish(speaker.pauses(), speaker.buffer.end)
    final = await speaker.final("sáu bảy")
    assert final is not None
    assert final.text == "một hai ba bốn năm sáu bảy"
    assert [word.text for word in final.words] == final.text.split()
    assert [word.start_ms for word in final.words] == sorted(word.start_ms for word in final.words)


@pytest.mark.parametrize("logprob", [CERTAIN_LOGPROB - 0.1, -9.0])
async def test_what_is_doubtful_at_a_pause_settles_nothing(speaker: Speaker, logprob: float) -> None:
    await go_on_after_a_pause(speaker, heard("một hai", logprob=logprob))
    assert speaker.utterance.needed_from == START - PADDING


async def test_a_pause_in_a_short_utterance_settles_nothing(speaker: Speaker) -> None:
    await go_on_after_a_pause(speaker, heard("một hai"), first_s=SETTLED_AT_PAUSE_S - PADDING / SAMPLE_RATE - 1)
    assert speaker.utterance.needed_from == START - PADDING


async def test_what_would_be_settled_after_the_end_is_given_up(speaker: Speaker) -> None:
    speaker.speaks(6.0)
    speaker.pauses()
    await settled()
    speaker.utterance.resume()
    speaker.speaks(1.0)
    speaker.utterance.finish(speaker.pauses(), speaker.buffer.end)
    await settled()
    assert speaker.model.in_flight == 1
    final = await speaker.final("một hai ba")
    assert final is not None
    assert final.text == "một hai ba"
    assert len(speaker.model.begun[-1].audio) > 7 * SAMPLE_RATE


async def test_a_partial_of_what_was_settled_meanwhile_is_not_shown(speaker: Speaker) -> None:
    speaker.speaks(5.0)
    late = asyncio.create_task(speaker.utterance.partial())
    await settled()
    speaker.pauses()
    await settled()
    speaker.utterance.resume()
    speaker.speaks(0.5)
    partial = speaker.model.begun[0]
    assert not partial.careful
    await speaker.model.give(heard("một hai ba"))  # the partial's answer, shown, and no more than a draft
    assert await late is not None
    again = asyncio.create_task(speaker.utterance.partial())
    await settled()
    assert speaker.model.begun[-1].draft == "một hai ba"
    await speaker.model.give(heard("một hai ba bốn"))  # the pause's
    await speaker.model.give(heard("một hai ba bốn năm"))
    assert await again is None


async def test_one_pause_at_a_time_settles(speaker: Speaker) -> None:
    for _ in range(2):
        speaker.speaks(5.0)
        speaker.pauses()
        await settled()
        speaker.utterance.resume()
    await settled()
    assert speaker.model.in_flight == 1  # the second, which hears the same and more, is void
    await speaker.model.give(heard("một hai ba bốn năm"))
    assert speaker.utterance.needed_from == START + 5 * SAMPLE_RATE + BEHIND_PAUSE
    speaker.utterance.abandon()
    await settled()
    assert speaker.model.in_flight == 0


async def test_nothing_settles_when_all_is_given_up(speaker: Speaker) -> None:
    speaker.speaks(6.0)
    speaker.pauses()
    await settled()
    speaker.utterance.resume()
    speaker.utterance.abandon()
    await settled()
    assert speaker.model.in_flight == 0
    assert speaker.utterance.needed_from == START - PADDING


# What the model is asked for.


async def test_a_partial_goes_on_from_the_one_before(speaker: Speaker) -> None:
    speaker.speaks(1.0)
    await speaker.partial("xin")
    speaker.speaks(0.5)
    await speaker.partial("xin chào")
    assert [request.draft for request in speaker.model.begun] == ["", "xin"]
    speaker.pauses()
    await settled()
    assert (speaker.model.begun[-1].careful, speaker.model.begun[-1].draft) == (True, "")
