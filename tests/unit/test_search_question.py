"""The limits of a question."""

import pytest

from servers.common.errors import FieldInvalid
from servers.search.question import Question, ask


def asked(query: str = "xin chào", limit: int = 0, recording_ids: tuple[str, ...] = (), language: str = "") -> Question:
    return ask("acme", "lan", query, limit, recording_ids, language)


def test_defaults() -> None:
    question = asked("  xin chào ")
    assert (question.text, question.limit) == ("xin chào", 10)
    assert question.scope.whole_tenant


def test_a_narrowed_question() -> None:
    question = asked(recording_ids=("AB", "ab", "cd"), language="vi")
    assert question.scope.recording_ids == ("ab", "cd")
    assert not question.scope.whole_tenant


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("query", {"query": ""}),
        ("query", {"query": " \n"}),
        ("query", {"query": "x" * 1001}),
        ("limit", {"limit": 101}),
        ("recording_ids", {"recording_ids": ("x",) * 101}),
        ("recording_ids", {"recording_ids": ("",)}),
        ("language_code", {"language": "Vietnamese"}),
        ("language_code", {"language": "VI"}),
    ],
)
def test_what_exceeds_a_limit_is_named(field: str, given: dict[str, object]) -> None:
    with pytest.raises(FieldInvalid) as info:
        asked(**given)  # type: ignore[arg-type]
    assert info.value.field == field
