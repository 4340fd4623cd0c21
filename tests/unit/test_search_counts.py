"""What there are too many of in a request is refused before any of it is read: all calls wait meanwhile."""

from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from ai2text.search.v1.search_service_pb2 import SearchRequest

from servers.common.errors import FieldInvalid
from servers.search import entries, index_messages, messages
from servers.search.documents import Document
from servers.search.question import ask
from tests.fakes.unread import Unread

DOCUMENT = Document("acme", "r1", "t1", "s1", 0, 1, "vi", "câu")


def request(recording_ids: Any = (), labels: Any = MappingProxyType({}), channels: Any = ()) -> Any:
    """A SearchRequest for a word."""
    plain = SearchRequest(query="câu")
    names = [field.name for field in plain.DESCRIPTOR.fields]
    narrowed = SimpleNamespace(labels=labels, channels=channels, start_ms=0, end_ms=0, HasField=plain.filter.HasField)
    given = {name: getattr(plain, name) for name in names} | {"recording_ids": recording_ids, "filter": narrowed}
    return SimpleNamespace(**given)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"recording_ids": Unread(101)}, "recording_ids"),
        ({"labels": Unread(11)}, "filter.labels"),
        ({"channels": Unread(9)}, "filter.channels"),
    ],
)
def test_a_search(given: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldInvalid) as refused:
        ask("acme", "lan", messages.draft(request(**given)))
    assert refused.value.field == field


def test_a_batch() -> None:
    with pytest.raises(FieldInvalid, match="requests must hold 1 to 32, not 33"):
        messages.drafts(Unread(33))  # type: ignore[arg-type]


def test_documents_and_a_vector() -> None:
    with pytest.raises(FieldInvalid, match="documents must hold 1 to 100, not 101"):
        index_messages.drafts("acme", Unread(101))  # type: ignore[arg-type]
    with pytest.raises(FieldInvalid, match="vector must have 1 to 4096 dimensions, not 4097"):
        entries.checked(DOCUMENT, "e5", Unread(4097))  # type: ignore[arg-type]
