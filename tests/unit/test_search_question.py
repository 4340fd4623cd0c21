"""The limits of a question, and what pages of one answer have in common."""

from typing import Any

import pytest

from servers.common.errors import FieldInvalid, PageTokenInvalid
from servers.search import paging
from servers.search.narrowing import Conditions, Span
from servers.search.question import Draft, Question, ask, ask_all


def asked(query: str = "xin chào", tenant: str = "acme", **fields: Any) -> Question:
    return ask(tenant, "lan", Draft(query, **fields))


def test_defaults() -> None:
    question = asked("  xin chào ")
    assert (question.query.text, question.limit) == ("xin chào", 10)
    assert question.scope.whole_tenant
    assert not question.conditions.any
    assert (question.span, question.hits_each, question.given, question.explain) == (None, 0, (), False)
    assert question.channels == ()


def test_a_narrowed_question() -> None:
    question = asked(recording_ids=("AB", "ab", "cd"), language_code="vi", labels={"b": "2", "a": "1"}, start_ms=5)
    assert question.scope.recording_ids == ("ab", "cd")
    assert not question.scope.whole_tenant
    assert question.conditions == Conditions(labels=(("a", "1"), ("b", "2")))
    assert question.span is not None
    assert question.span.start_ms == 5
    assert question.span.end_ms > 10**12
    assert asked(recording_ids=("a",), start_ms=5, end_ms=6).span == Span(5, 6)
    assert asked(channels=(7, 0)).channels == (0, 7)


def test_hits_by_recording() -> None:
    assert asked(by_recording=True).hits_each == 3
    assert asked(by_recording=True, hits_each=10).hits_each == 10


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("query", {"query": ""}),
        ("query", {"query": " \n"}),
        ("query", {"query": "x" * 1001}),
        ("limit", {"limit": 101}),
        ("recording_ids", {"recording_ids": ("x",) * 101}),
        ("recording_ids", {"recording_ids": ("",)}),
        ("language_code", {"language_code": "Vietnamese"}),
        ("language_code", {"language_code": "VI"}),
        ("hits_per_recording", {"hits_each": 1}),
        ("hits_per_recording", {"hits_each": 11, "by_recording": True}),
        ("filter.labels", {"labels": {str(n): "" for n in range(11)}}),
        ("filter.labels", {"labels": {"A": ""}}),
        ("filter.labels[a]", {"labels": {"a": "x" * 201}}),
        ("filter.recorded_before", {"created_from_us": 5, "created_before_us": 5}),
        ("filter.start_ms", {"start_ms": -1}),
        ("filter.end_ms", {"start_ms": 2, "end_ms": 2, "recording_ids": ("x",)}),
        ("filter.start_ms", {"start_ms": 2}),
        ("filter.end_ms", {"end_ms": 2}),
        ("filter.channels", {"channels": (8,)}),
        ("filter.channels", {"channels": (0, 2**32 - 1)}),
        ("filter.channels", {"channels": (1, 0, 1)}),
        ("filter.channels", {"channels": range(9)}),
    ],
)
def test_what_exceeds_a_limit_is_named(field: str, given: dict[str, Any]) -> None:
    with pytest.raises(FieldInvalid) as info:
        asked(**given)
    assert info.value.field == field


def test_all_that_decides_what_is_found_is_in_the_name_and_nothing_else() -> None:
    same = [asked(), asked(" xin chào\n"), asked(limit=5), asked(explain=True)]
    assert {question.name for question in same} == {same[0].name}
    assert asked(channels=(1, 0)).name == asked(channels=(0, 1)).name
    different = [
        asked(tenant="rival"), asked("xin chao"), asked(recording_ids=("a",)), asked(recording_ids=("a", "b")),
        asked(language_code="vi"), asked(labels={"a": "b"}), asked(labels={"a": ""}), asked(created_from_us=0),
        asked(created_before_us=0), asked(recording_ids=("a",), start_ms=1), asked(recording_ids=("a",), end_ms=1),
        asked(by_recording=True), asked(by_recording=True, hits_each=1), asked(channels=(0,)), asked(channels=(0, 1)),
    ]  # fmt: skip
    assert len({question.name for question in [*same[:1], *different]}) == 1 + len(different)


def test_no_page_goes_beyond_all_that_there_may_be() -> None:
    for before, wanted in ((0, 100), (900, 100), (950, 50), (1000, 0)):
        token = paging.token(asked().name, range(before))
        assert asked(page_token=token, limit=100).wanted == wanted


def test_a_token_of_another_question_is_refused() -> None:
    token = paging.token(asked().name, [1, 2])
    assert asked(page_token=token).given == (1, 2)
    with pytest.raises(PageTokenInvalid):
        asked("khác", page_token=token)


def test_in_a_batch_the_request_is_named_too() -> None:
    questions = ask_all("acme", "lan", [Draft("một"), Draft("hai", limit=3)])
    assert [(one.query.text, one.limit) for one in questions] == [("một", 10), ("hai", 3)]
    with pytest.raises(FieldInvalid) as wrong:
        ask_all("acme", "lan", [Draft("một"), Draft("hai", limit=300)])
    assert wrong.value.field == "requests[1].limit"
    with pytest.raises(PageTokenInvalid) as token:
        ask_all("acme", "lan", [Draft("một", page_token="x")])
    assert token.value.metadata == {"field": "requests[0].page_token"}
    for count in (0, 33):
        with pytest.raises(FieldInvalid, match="requests must hold 1 to 32"):
            ask_all("acme", "lan", [Draft("một")] * count)
