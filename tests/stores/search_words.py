"""What tests of the indexes of words share."""

from servers.search.documents import Entry, Scope
from servers.search.query import parsed
from servers.search.store import Store
from servers.search.terms import Terms
from tests.stores.search_entries import entry


def put(store: Store, terms: Terms, *entries: Entry) -> None:
    store.put(entries)
    for tenant in {one.document.tenant for one in entries}:
        assert terms.follow(tenant)


def texts(*given: str, **fields: str) -> list[Entry]:
    """Segments `s0`, `s1`, ... with these texts."""
    return [entry(f"s{n}", text, **fields) for n, text in enumerate(given)]


def found(store: Store, terms: Terms, query: str, scope: Scope | None = None, limit: int = 100) -> list[str]:
    """The segments found, best first."""
    scope = scope or Scope("acme")
    ids = terms.matching(scope, parsed(query), limit)
    documents = store.documents(scope.tenant, ids)
    return [documents[id].segment_id for id in ids]
