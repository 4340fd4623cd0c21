"""One utterance: partials, speculation, the final. How a long one is trimmed is in `test_asr_settling.py`."""

import asyncio
from dataclasses import replace

import pytest

from servers.asr import audio
from servers.asr.audio import SAMPLE_RATE
from servers.asr.utterance import PADDING, Manner
from servers.common.errors import DependencyUnavailable
from tests.fakes.recognizers import heard, settled, unsure
from tests.fakes.speaker import START, Speaker, shown

# Partials.


async def test_partials_grow_stable_where_two_agree(speaker: Speaker) -> None:
    speaker.speaks(2.0)
    assert shown(await speaker.partial("một hai bà")) == ("", "một hai")
    speaker.speaks(1.0)
    assert shown(await speaker.partial("một hai ba bốn năm")) == ("một hai", " ba bốn")
    speaker.speaks(1.0)
    assert shown(await speaker.partial("một hai ba bốn năm")) == ("một hai ba bốn năm", "")


@pytest.mark.parametrize(("after_s", "unstable"), [(0.2, "một"), (0.4, "một hai")])
async def test_a_word_is_shown_when_some_more_was_heard_behind_it(
    speaker: Speaker, after_s: float, unstable: str
) -> None:
    speaker.speaks(2.0)
    word_s = (2.0 + PADDING / SAMPLE_RATE - after_s) / 2
    assert shown(await speaker.partial(heard("một hai", word_s=word_s))) == ("", unstable)


async def test_the_last_word_is_shown_where_there_is_no_other(speaker: Speaker) -> None:
    speaker.speaks(1.0)
    assert shown(await speaker.partial("mốt")) == ("", "mốt")
    speaker.speaks(1.0)
    assert shown(await speaker.partial("một hai")) == ("", "một")


async def test_what_is_unsure_is_not_shown_nor_what_follows_it(speaker: Speaker) -> None:
    speaker.speaks(2.0)
    assert shown(await speaker.partial(unsure("một hái ba bốn", 1))) == ("", "một")
    speaker.speaks(1.0)
    assert shown(await speaker.partial(unsure("một hái ba bốn", 1))) == ("một hái ba bốn", "")
    speaker.speaks(1.0)
    assert shown(await speaker.partial(unsure("một hái ba bốn năm sáu bảy", 5))) == ("một hái ba bốn", " năm")


@pytest.mark.parametrize("text", ["mốt", "mốt hai"])
async def test_there_is_no_partial_while_all_is_unsure(speaker: Speaker, text: str) -> None:
    speaker.speaks(1.0)
    assert await speaker.partial(unsure(text, 0)) is None
    speaker.speaks(1.0)
    assert shown(await speaker.partial("một")) == ("", "một")


async def test_where_words_have_no_spaces_none_is_unsure(speaker: Speaker) -> None:
    speaker.speaks(2.0)
    in_parts = replace(unsure("你好 世界 再见", 0), text="你好世界再见")
    assert shown(await speaker.partial(in_parts)) == ("", "你好世界再见")


async def test_a_partial_says_where_it_is(speaker: Speaker) -> None:
    speaker.speaks(2.5)
    partial = await speaker.partial("một")
    assert partial is not None
    assert (partial.start_ms, partial.end_ms, partial.channel) == (2_000, 4_500, 3)
    assert (partial.language, partial.complete, partial.words) == ("vi", False, ())
    (request,) = speaker.model.begun
    assert len(request.audio) == PADDING + 2.5 * SAMPLE_RATE
    assert not request.careful


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
    assert [(word.text, word.start_ms) for word in partial.words] == [("một", 2_000), ("hai", 2_475)]
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
    assert final.careful


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
