"""Finals are told at once, then refined: what the client is told after them, and what is stored."""

import grpc
import pytest

from servers.asr import refiner
from servers.asr.live import Limits
from tests.fakes.clocks import LoopTime
from tests.rpc.asr.conftest import (
    Message,
    Response,
    Speech,
    audio,
    config,
    finals,
    is_final,
    kinds,
    pcm,
    resume,
)
from tests.rpc.asr.interruptions import PATIENT, cut_off, gone_on, rest

ONE = audio((0.5, 0.0), (2.0, 0.5), (1.0, 0.0))
TORN = audio((1.0, 0.5), (0.5, 0.0), (2.0, 0.5), (1.0, 0.0))
"""Two finals, "one" and "one two", of one passage, of which they get "one" and "two three"."""


def better(responses: list[Response]) -> list[tuple[int, str]]:
    """The refinements, as they came."""
    return [(r.refinement.final_index, r.refinement.text) for r in responses if r.HasField("refinement")]


def stored(speech: Speech) -> list[tuple[str, str]]:
    """Text and raw text of each segment."""
    return [(segment.text, segment.raw_text) for _, segment in sorted(speech.metadata.stored.items())]


async def test_a_final_is_refined_after_it_was_told_and_stored_refined(speech: Speech) -> None:
    speech.nlp.taught["one two"] = "1 2"
    told = await speech.told(config(language_code="vi"), *ONE)
    assert finals(told) == ["one two"]
    assert better(told) == [(0, "1 2")]
    assert kinds(told).index("final") < kinds(told).index("refinement")
    final = next(r.final for r in told if is_final(r))
    refinement = next(r.refinement for r in told if r.HasField("refinement"))
    assert (refinement.language_code, refinement.confidence) == ("vi", final.confidence)
    assert refinement.words == final.words
    assert 0 < refinement.processing_times.post_processing.ToMicroseconds() < 20_000_000
    await speech.settled(lambda: stored(speech) == [("1 2", "one two")])
    (segment,) = speech.metadata.stored.values()
    assert [word.text for word in segment.words] == ["one", "two"]


async def test_each_text_is_asked_for_once_and_in_its_language(speech: Speech) -> None:
    speech.recognizer.language = "en"
    speech.nlp.taught |= {"one two": "1 2"}
    await speech.told(config(), *ONE)
    await speech.settled(lambda: stored(speech) == [("1 2", "one two")])
    asked = [(request.text, request.language_code, bool(request.steps)) for request in speech.nlp.asked]
    assert asked == [("one two", "en", True), ("one two", "en", False)]  # a piece; and a sentence, once it is over


async def test_what_is_heard_again_is_refined_and_is_the_last_word(speech: Speech) -> None:
    speech.nlp.taught |= {"one two": "1 2", "two three": "2 3"}
    told = await speech.told(config(), *TORN)
    assert finals(told) == ["one", "one two"]
    assert better(told) == [(1, "1 2"), (1, "2 3")]
    await speech.settled(lambda: stored(speech) == [("one", ""), ("1 2", "one two")])


async def test_what_reads_the_same_is_not_told_twice(speech: Speech) -> None:
    speech.nlp.taught |= {"one two": "2 3", "two three": "2 3"}
    assert better(await speech.told(config(), *TORN)) == [(1, "2 3")]


async def test_refinements_that_are_not_wanted_are_neither_told_nor_stored(speech: Speech) -> None:
    speech.nlp.taught |= {"one": "1", "one two": "1 2", "two three": "2 3"}
    told = await speech.told(config(refinements_disabled=True), *TORN)
    assert better(told) == []
    await speech.settled(lambda: stored(speech) == [("one", ""), ("one two", "")])
    assert speech.nlp.asked == []


async def test_what_is_not_stored_is_refined_too(speech: Speech) -> None:
    speech.nlp.taught["one two"] = "1 2"
    assert better(await speech.told(config(storage_disabled=True), *ONE)) == [(0, "1 2")]
    assert speech.metadata.stored == {}


async def test_nobody_waits_for_nlp(speech: Speech) -> None:
    speech.nlp.taught["one two"] = "1 2"
    speech.nlp.ready.clear()
    talk = await speech.talk()
    await talk.say(*ONE)
    await talk.until(is_final)
    await speech.settled(lambda: speech.nlp.asked)
    assert speech.metadata.stored == {}
    await speech.settled(lambda: stored(speech) == [("one two", "")], within_s=20)
    speech.nlp.ready.set()
    talk.call.cancel()


async def test_nlp_that_was_away_refines_again(speech: Speech, monkeypatch: pytest.MonkeyPatch) -> None:
    time = LoopTime(monkeypatch)
    speech.nlp.taught["one two"] = "1 2"
    speech.nlp.refusal = grpc.StatusCode.UNAVAILABLE
    told = await speech.told(config(), *ONE)
    assert (finals(told), better(told)) == (["one two"], [])
    await speech.settled(lambda: stored(speech) == [("one two", "")])
    speech.nlp.refusal = None
    speech.metadata.stored.clear()
    time.passes(refiner.LONGEST_REST_S)
    assert better(await speech.told(config(), *ONE)) == [(0, "1 2")]
    await speech.settled(lambda: ("1 2", "one two") in stored(speech))


async def test_finals_wait_for_metadata_refined(speech: Speech) -> None:
    speech.nlp.taught["one two"] = "1 2"
    speech.metadata.away = True
    await speech.told(config(), *ONE)
    speech.nlp.refusal = grpc.StatusCode.UNAVAILABLE
    speech.metadata.away = False
    await speech.settled(lambda: stored(speech) == [("1 2", "one two")])


SAID = pcm((0.5, 0.0), (2.0, 0.5), (1.0, 0.0), (3.0, 0.5), (1.0, 0.0), (1.0, 0.5), (0.5, 0.0))
"""Finals "one two", "one two three", "one"."""


@pytest.fixture
def taught(speech: Speech) -> Speech:
    speech.nlp.taught |= {"one two": "1 2", "one two three": "1 2 3", "one": "1"}
    return speech


@pytest.fixture
def limits() -> Limits:
    return PATIENT


async def test_what_another_server_has_stored_is_not_refined_anew(taught: Speech, other: Speech) -> None:
    old = await cut_off(taught, said(SAID[: 32 * 3_500]), finals=1)
    await taught.settled(lambda: len(taught.metadata.stored) == 1)
    taught.nlp.asked.clear()
    await gone_on(other, old, SAID)
    await other.settled(lambda: len(taught.metadata.stored) == 3)
    assert stored(other) == [("1 2", "one two"), ("1 2 3", "one two three"), ("1", "one")]
    assert "one two" not in {request.text for request in taught.nlp.asked}


async def test_what_another_server_could_not_store_is_stored_refined(taught: Speech, other: Speech) -> None:
    taught.metadata.away = True
    old = await cut_off(taught, said(SAID[: 32 * 3_500]), finals=1)
    await taught.archive.close(timeout_s=0)
    taught.metadata.away = False
    await gone_on(other, old, SAID)
    await other.settled(lambda: stored(other) == [("1 2", "one two"), ("1 2 3", "one two three"), ("1", "one")])


async def test_what_goes_on_elsewhere_is_refined_there(taught: Speech, other: Speech) -> None:
    old = await cut_off(taught, said(SAID[: 32 * 3_500]), finals=1)
    resumed = await other.talk(resume(old.started, 1))
    await resumed.say(*rest(SAID, resumed.started.replay_from_ms))
    assert better(await resumed.until_end()) == [(1, "1 2 3"), (2, "1")]


def said(data: bytes) -> list[Message]:
    return rest(data, 0)
