"""Where the vectors are kept: in lists of this server's own, or in Qdrant."""

from collections.abc import Iterator
from contextlib import contextmanager

from servers.search.journal import Journal, VectorIndexes
from servers.search.rebuilding import Shape
from servers.search.settings import Settings
from servers.search.vectors import Vectors


@contextmanager
def opened(settings: Settings, journal: Journal) -> Iterator[VectorIndexes]:
    """As the settings say, until the end of the block."""
    if not settings.qdrant_url:
        yield Vectors(settings.data_dir / "vectors", journal, Shape(probes=settings.vector_probes))
        return
    # Here, not above: who keeps lists need not have installed the extra `qdrant`.
    from servers.search import qdrant
    from servers.search.qdrant_vectors import QdrantVectors

    with qdrant.connected(settings.qdrant_url, settings.qdrant_api_key) as connection:
        yield QdrantVectors(connection, journal)
