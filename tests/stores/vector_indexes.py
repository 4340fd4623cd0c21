"""Vector indexes over a store, and what they should find."""

from pathlib import Path

from servers.search.documents import Entry, Scope
from servers.search.indexing import Stats
from servers.search.rebuilding import Shape
from servers.search.store import Store
from servers.search.vectors import Vectors
from tests.stores.search_entries import SPACE

LISTED = Shape(most_loose=100, probes=24, least_rows=0, lists_by_root=4)
"""Lists for as few vectors as tests have."""


def rebuild(indexes: Vectors, tenant: str = "acme") -> Stats:
    """Take all in, and make the lists that are due."""
    indexes.follow(tenant, SPACE)
    indexes.rebuild_due()
    return indexes.stats(tenant, SPACE)


def reopened(store: Store, tmp_path: Path) -> Vectors:
    return Vectors(tmp_path / "vectors", store, LISTED)


def hits(indexes: Vectors, among: list[Entry], asked: list[Entry], scope: Scope | None = None) -> float:
    """The share of the ten nearest that are found."""
    found = sum(len({*nearest(indexes, put, 10, scope)} & {*exactly(among, put, 10)}) for put in asked)
    return found / (10 * len(asked))


def nearest(indexes: Vectors, to: Entry, limit: int = 3, scope: Scope | None = None) -> list[int]:
    return indexes.nearest(scope or Scope("acme"), to.embedding, limit).ids


def exactly(entries: list[Entry], to: Entry, limit: int) -> list[int]:
    order = sorted(entries, key=lambda put: -float(put.embedding.vector @ to.embedding.vector))
    return [put.document.id for put in order[:limit]]


def agree(found: list[int], wanted: list[int]) -> bool:
    """Whether they are the same, but for those that are as near as each other to within the rounding."""
    return {*found} == {*wanted} and found[:5] == wanted[:5]


def forget(store: Store, recording_id: str = "r2") -> None:
    while store.delete("acme", recording_id, 30)[0]:
        pass
