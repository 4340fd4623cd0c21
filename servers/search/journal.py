"""Where vectors come from, who reads them there, and what all indexes together look like to the rest of the server."""

from typing import Protocol

from servers.search.documents import Embedding, Scope
from servers.search.indexing import Changes, Ranked, Stats, VectorIndex


class Journal(Protocol):
    """Every change of a vector, under a number that counts up; see `servers.search.store`."""

    index_id: str
    """Names the database; another one counts anew."""

    def last_seq(self) -> int: ...
    def changes_after(self, tenant: str, space: str, seq: int, limit: int) -> Changes: ...


class VectorIndexes(Protocol):
    """The indexes of all tenants and spaces. Every method blocks, and any thread may call any of them."""

    def follow(self, tenant: str, space: str) -> bool:
        """Take in what the journal has of the tenant and the space; False when not all of it could be taken in now, and
        this should be called again in a moment."""
        ...

    def nearest(self, scope: Scope, embedding: Embedding, limit: int) -> Ranked:
        """The documents in `scope` with the largest inner products; DependencyUnavailable when unknown."""
        ...

    def stats(self, tenant: str, space: str) -> Stats:
        """How the index of the tenant and the space stands; DependencyUnavailable when unknown."""
        ...

    def rebuild_due(self) -> None:
        """Do what is due from time to time."""
        ...

    def rebuild(self, tenant: str, space: str, whole: bool) -> None:
        """Have all vectors of the tenant and the space on disk, as they are searched best; `whole`: and nothing that is
        dead. DependencyUnavailable when that cannot be, or it is time to stop."""
        ...

    def stop(self) -> None:
        """Have what takes long end where it is, in whichever thread."""
        ...


def read_on(index: VectorIndex, journal: Journal, tenant: str, space: str, step: int) -> bool:
    """Have the index take the next `step` changes in; False when there are no more, which need not be asked again."""
    changes = journal.changes_after(tenant, space, index.seq, step)
    if changes.seq != index.seq:
        index.apply(changes)
    return len(changes.gone) + len(changes.there.ids) == step
