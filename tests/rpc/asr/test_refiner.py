"""How nlp is asked, over a real port: little, and never for long."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from ai2text.nlp.v1 import refinement_pb2, text_service_pb2_grpc

from servers.asr import refiner
from servers.asr.refiner import AT_ONCE, MOST_ASKED, RemoteRefiner
from servers.common import backoff, channel
from tests.fakes.clocks import LoopTime
from tests.fakes.recognizers import come_true
from tests.rpc.asr.neighbours import NlpServer, serving

Code = grpc.StatusCode
TIMEOUT_S = 60.0
"""Nothing takes so long unless it hangs."""


@pytest.fixture
def nlp() -> NlpServer:
    return NlpServer(taught={"hai mươi": "20"})


@pytest.fixture
async def remote(nlp: NlpServer) -> AsyncIterator[RemoteRefiner]:
    def mount(server: grpc.aio.Server) -> str:
        text_service_pb2_grpc.add_TextServiceServicer_to_server(nlp, server)
        return "nlp"

    async with serving(mount) as address, channel.connect(address) as to:
        yield RemoteRefiner(to, TIMEOUT_S)


async def test_a_text_is_refined_in_its_language(nlp: NlpServer, remote: RemoteRefiner) -> None:
    assert await remote.refine("hai mươi", "vi", True) == "20"
    assert await remote.refine("twenty", "en", True) == "twenty"
    assert [(asked.text, asked.language_code) for asked in nlp.asked] == [("hai mươi", "vi"), ("twenty", "en")]


async def test_a_piece_of_a_sentence_gets_neither_marks_nor_capitals(nlp: NlpServer, remote: RemoteRefiner) -> None:
    for whole in (True, False):
        await remote.refine("xin chào", "vi", whole)
    assert list(nlp.asked[0].steps) == []
    unwanted = {
        refinement_pb2.REFINEMENT_STEP_UNSPECIFIED,
        refinement_pb2.REFINEMENT_STEP_PUNCTUATION,
        refinement_pb2.REFINEMENT_STEP_CAPITALISATION,
    }
    assert set(nlp.asked[1].steps) == set(refinement_pb2.RefinementStep.values()) - unwanted


async def test_the_same_text_is_asked_for_once(nlp: NlpServer, remote: RemoteRefiner) -> None:
    nlp.ready.clear()
    both = [asyncio.create_task(remote.refine("hai mươi", "vi", True)) for _ in range(2)]
    await asyncio.sleep(0.05)
    both[0].cancel()  # who goes away takes it from nobody else
    nlp.ready.set()
    assert await both[1] == "20"
    assert await remote.refine("hai mươi", "vi", True) == "20"
    assert len(nlp.asked) == 1


async def test_few_answers_are_kept(nlp: NlpServer, remote: RemoteRefiner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refiner, "KNOWN", 2)
    for text in ("a", "b", "a", "c", "a", "b"):
        await remote.refine(text, "vi", True)
    assert [asked.text for asked in nlp.asked] == ["a", "b", "c", "b"]


async def test_a_text_that_is_refused_stays_and_the_next_is_refined(nlp: NlpServer, remote: RemoteRefiner) -> None:
    nlp.refusal = Code.INVALID_ARGUMENT
    assert await remote.refine("hai mươi", "vi", True) == "hai mươi"
    nlp.refusal = None
    assert await remote.refine("hai mươi", "vi", True) == "20"


async def test_nlp_that_is_away_is_left_in_peace_for_a_while(
    nlp: NlpServer, remote: RemoteRefiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = LoopTime(monkeypatch)
    remote._rests = backoff.delays(30.0, 30.0)
    nlp.refusal = Code.UNAVAILABLE
    assert [await remote.refine(text, "vi", True) for text in ("hai mươi", "b", "c")] == ["hai mươi", "b", "c"]
    assert len(nlp.asked) == 1
    nlp.refusal = None
    time.passes(30.0)
    assert await remote.refine("hai mươi", "vi", True) == "20"


async def test_each_failure_in_a_row_makes_the_rest_longer(
    nlp: NlpServer, remote: RemoteRefiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff.random, "uniform", lambda least, most: most)
    rests = []
    for refusal in (Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED, Code.INTERNAL, None, Code.UNAVAILABLE):
        nlp.refusal, remote._rests_until = refusal, 0.0
        await remote.refine(f"{refusal}", "vi", True)
        rests.append(remote._rests_until - asyncio.get_running_loop().time())
    first, second, third, none, again = rests
    assert first <= 0.5 < second <= 1 < third <= 2
    assert none < 0 < again <= 0.5


async def test_nlp_that_hangs_costs_one_deadline_however_many_texts_there_are(
    nlp: NlpServer, remote: RemoteRefiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    nlp.ready.clear()
    remote._rests = backoff.delays(60.0, 60.0)
    time = LoopTime(monkeypatch)
    texts = [str(number) for number in range(MOST_ASKED + 10)]
    answers = [asyncio.create_task(remote.refine(text, "vi", True)) for text in texts]
    await come_true(lambda: len(nlp.asked) == AT_ONCE)
    time.passes(TIMEOUT_S)
    assert await asyncio.gather(*answers) == texts
    assert len(nlp.asked) == AT_ONCE, "the others wait for no deadline of their own"
    assert await remote.refine("hai mươi", "vi", True) == "hai mươi"
    assert len(nlp.asked) == AT_ONCE


async def test_more_than_may_wait_stay_as_they_are(nlp: NlpServer, remote: RemoteRefiner) -> None:
    nlp.taught = {str(number): "better" for number in range(MOST_ASKED + 2)}
    answers = await asyncio.gather(*(remote.refine(text, "vi", True) for text in nlp.taught))
    assert answers[-2:] == list(nlp.taught)[-2:]
    assert answers[:AT_ONCE] == ["better"] * AT_ONCE


async def test_a_server_that_is_not_there_is_no_error() -> None:
    async with channel.connect("127.0.0.1:1") as to:
        assert await RemoteRefiner(to, TIMEOUT_S).refine("hai mươi", "vi", True) == "hai mươi"
