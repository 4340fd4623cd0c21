"""TextService over a real port: refined texts, their edits, and every way to be refused."""

import asyncio
import threading
import unicodedata
from collections.abc import AsyncIterator

import grpc
import pytest
from ai2text.nlp.v1 import refinement_pb2
from ai2text.nlp.v1.text_service_pb2 import RefineRequest, RefineResponse
from ai2text.nlp.v1.text_service_pb2_grpc import TextServiceStub

from servers.common.identity import Caller
from servers.nlp.workers import Workers
from tests.rpc.nlp_server import nlp
from tests.rpc.refusals import refusal

ALLOWED = Caller("acme", "lan", frozenset({"speech"})).metadata()
DIACRITICS = refinement_pb2.REFINEMENT_STEP_DIACRITICS
TONES = refinement_pb2.REFINEMENT_STEP_TONE_PLACEMENT
NUMBERS = refinement_pb2.REFINEMENT_STEP_NUMBERS
PUNCTUATION = refinement_pb2.REFINEMENT_STEP_PUNCTUATION
CAPITALS = refinement_pb2.REFINEMENT_STEP_CAPITALISATION


@pytest.fixture
async def stub() -> AsyncIterator[TextServiceStub]:
    async with nlp() as stub:
        yield stub


async def refine(stub: TextServiceStub, request: RefineRequest) -> RefineResponse:
    """The answer, whose edits must make its text of the original."""
    answer = await stub.Refine(request, metadata=ALLOWED, timeout=30)
    text = request.text
    for edit in reversed(answer.edits):
        text = text[: edit.start] + edit.replacement + text[edit.end :]
    assert text == answer.text
    return answer


async def test_a_text_is_refined_and_each_change_told(stub: TextServiceStub) -> None:
    answer = await refine(stub, RefineRequest(text="hẹn lúc bảy giờ rưỡi ở hoà bình"))
    assert answer.text == "Hẹn lúc 7 giờ 30 ở Hòa Bình."
    assert answer.steps == [DIACRITICS, TONES, NUMBERS, PUNCTUATION, CAPITALS]
    told = [(edit.step, edit.start, edit.end, edit.replacement) for edit in answer.edits]
    assert told == [
        (CAPITALS, 0, 1, "H"),
        (NUMBERS, 8, 20, "7 giờ 30"),
        (CAPITALS, 23, 26, "Hòa"),
        (CAPITALS, 27, 28, "B"),
        (PUNCTUATION, 31, 31, "."),
    ]


async def test_only_the_steps_that_were_asked_for_in_their_own_order(stub: TextServiceStub) -> None:
    request = RefineRequest(text="toi di hoc viet nam", steps=[CAPITALS, DIACRITICS, CAPITALS])
    answer = await refine(stub, request)
    assert (answer.text, answer.steps) == ("Tôi đi học Việt Nam", [DIACRITICS, CAPITALS])


async def test_a_text_that_is_well_is_answered_as_it_is(stub: TextServiceStub) -> None:
    answer = await refine(stub, RefineRequest(text="Xin chào, tôi là Lan."))
    assert (answer.text, len(answer.edits)) == ("Xin chào, tôi là Lan.", 0)


async def test_emoji_and_decomposed_letters_count_as_code_points(stub: TextServiceStub) -> None:
    text = "😀 " + unicodedata.normalize("NFD", "hoà") + " hai mươi lăm"
    answer = await refine(stub, RefineRequest(text=text, steps=[TONES, NUMBERS]))
    assert answer.text == "😀 hòa 25"
    assert [(edit.start, edit.end) for edit in answer.edits] == [(2, 6), (7, len(text))]


async def test_a_language_without_rules_gets_its_spaces_and_letters_in_order(stub: TextServiceStub) -> None:
    answer = await refine(stub, RefineRequest(text="hai mươi  cafe\u0301", language_code="fr-FR"))
    assert (answer.text, answer.steps) == ("hai mươi café", [TONES, PUNCTUATION])


async def test_without_a_lexicon_the_step_is_not_among_those_applied() -> None:
    async with nlp(lexicon=None) as stub:
        answer = await refine(stub, RefineRequest(text="toi di hoc", steps=[DIACRITICS]))
    assert (answer.text, list(answer.steps)) == ("toi di hoc", [])


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (RefineRequest(), "text"),
        (RefineRequest(text=" \n\u3000"), "text"),
        (RefineRequest(text="xin\x00chào"), "text"),
        (RefineRequest(text="xin\x1b[31mchào"), "text"),
        (RefineRequest(text="a", language_code="tiếng việt"), "language_code"),
        (RefineRequest(text="a", steps=[NUMBERS, refinement_pb2.REFINEMENT_STEP_UNSPECIFIED]), "steps[1]"),
        (RefineRequest(text="a", steps=[NUMBERS] * 33), "steps"),
        (RefineRequest(text="a", steps=[77]), "steps[0]"),  # type: ignore[list-item]
    ],
)
async def test_a_wrong_field_is_named(stub: TextServiceStub, request_: RefineRequest, field: str) -> None:
    refused = await refusal(stub.Refine(request_, metadata=ALLOWED))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refused.field == field


async def test_a_text_of_just_the_limit_is_taken_and_one_more_is_not(stub: TextServiceStub) -> None:
    await refine(stub, RefineRequest(text="ạ" * 8192))
    refused = await refusal(stub.Refine(RefineRequest(text="ạ" * 8193), metadata=ALLOWED))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TEXT_TOO_LONG")
    assert refused.metadata == {"limit_characters": "8192"}


async def test_no_identity(stub: TextServiceStub) -> None:
    refused = await refusal(stub.Refine(RefineRequest(text="a")))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "IDENTITY_MISSING")


async def test_no_scope(stub: TextServiceStub) -> None:
    headers = Caller("acme", "lan", frozenset({"search"})).metadata()
    refused = await refusal(stub.Refine(RefineRequest(text="a"), metadata=headers))
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
    assert refused.metadata == {"scope": "speech"}


@pytest.mark.parametrize(("waiting", "limit_s", "words"), [(0, 30.0, "too many"), (1, 0.05, "in time")])
async def test_too_many_at_a_time_and_too_long(waiting: int, limit_s: float, words: str) -> None:
    gate = threading.Event()
    workers = Workers(1, waiting, limit_s)
    async with nlp(workers) as stub:
        held = asyncio.create_task(workers.run(gate.wait))
        await asyncio.sleep(0)
        refused = await refusal(stub.Refine(RefineRequest(text="a"), metadata=ALLOWED))
        gate.set()
        await asyncio.gather(held, return_exceptions=True)
    assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert refused.retry_s
    assert words in refused.message


async def test_a_callers_deadline_ends_its_call_and_frees_its_place() -> None:
    gate = threading.Event()
    workers = Workers(1, 1, 30)
    async with nlp(workers) as stub:
        held = asyncio.create_task(workers.run(gate.wait))
        await asyncio.sleep(0)
        with pytest.raises(grpc.aio.AioRpcError) as info:
            await stub.Refine(RefineRequest(text="a"), metadata=ALLOWED, timeout=0.1)
        assert info.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        while workers.taken > 1:
            await asyncio.sleep(0.001)
        gate.set()
        await held
        assert (await refine(stub, RefineRequest(text="xin chào"))).text == "Xin chào."
