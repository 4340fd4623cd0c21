"""A long utterance settles its first words, at pauses and where partials agree, and hears them no more."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from servers.asr import audio
from servers.asr.audio import SAMPLE_RATE, SampleBuffer
from servers.asr.load import Load, LoadLimits
from servers.asr.recognition import Hypothesis, Word
from servers.asr.results import Partial
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
from tests.fakes.recognizers import GatedRecognizer, heard, settled
from tests.fakes.speaker import START, Speaker, shown

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
    first = await speaker.partial(spaced("sáu bảy tám chín muội", begin_s=0.8, logprob=CERTAIN_LOGPROB - 0.1))
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
