"""Whatever is asked, FTS5 understands the expression that it becomes."""

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servers.search import matching
from servers.search.documents import Document, Scope
from servers.search.words import words


@pytest.fixture
def table() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE VIRTUAL TABLE words USING fts5 ({matching.COLUMNS}, content = '', tokenize = 'ascii')")
    yield connection
    connection.close()


def found(table: sqlite3.Connection, scope: Scope, query: str) -> list[int]:
    expression = matching.expression(scope, tuple(words(query)))
    return [id for (id,) in table.execute("SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank", (expression,))]


def stored(table: sqlite3.Connection, id: int, text: str, tenant: str = "acme") -> None:
    row = matching.row(Document(tenant, "recording", "transcript", f"segment {id}", 0, 1, "vi", text))
    table.execute(f"INSERT INTO words (rowid, {matching.COLUMNS}) VALUES (?, ?, ?, ?)", (id, *row))


@given(query=st.text(max_size=300), tenant=st.text(min_size=1, max_size=20), recording=st.text(min_size=1, max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_text_is_a_syntax_error(table: sqlite3.Connection, query: str, tenant: str, recording: str) -> None:
    if any(words(query)):
        found(table, Scope(tenant, (recording, "other"), "vi"), query)


@given(text=st.text(min_size=1, max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_text_is_found_by_itself(table: sqlite3.Connection, text: str) -> None:
    table.execute("INSERT INTO words (words) VALUES ('delete-all')")
    stored(table, 1, text)
    if any(words(text)):
        assert found(table, Scope("acme"), text) == [1]
        assert found(table, Scope("rival"), text) == []


@pytest.mark.parametrize(
    "query", ['"', "a AND", "NEAR(", "spelt : x", "a* -b ^c", "NOT", "a OR OR b", "{x} : y", "'; --"]
)
def test_the_query_language_means_nothing(table: sqlite3.Connection, query: str) -> None:
    stored(table, 1, "không liên quan")
    if any(words(query)):
        assert found(table, Scope("acme"), query) == []


def test_a_long_question_is_no_error(table: sqlite3.Connection) -> None:
    stored(table, 1, "w1 w2")
    assert found(table, Scope("acme"), " ".join(f"w{n}" for n in range(500))) == [1]


def test_exact_accents_come_first(table: sqlite3.Connection) -> None:
    stored(table, 1, "bán nhà")
    stored(table, 2, "bạn nhà")
    stored(table, 3, "bàn nhà")
    assert found(table, Scope("acme"), "bạn")[0] == 2
    assert found(table, Scope("acme"), "bàn")[0] == 3
    assert set(found(table, Scope("acme"), "ban")) == {1, 2, 3}


def test_words_side_by_side_count_more_than_apart(table: sqlite3.Connection) -> None:
    stored(table, 1, "sinh ra là viên")
    stored(table, 2, "là sinh viên ra")
    assert found(table, Scope("acme"), "sinh vien") == [2, 1]
