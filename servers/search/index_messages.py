"""The nouns of IndexService and those of the domain, translated into each other."""

from collections.abc import Sequence

from ai2text.search.v1 import index_service_pb2

from servers.search.documents import Document
from servers.search.upkeep import Draft, IndexStats, SpaceStats, check_count


def drafts(tenant: str, given: Sequence[index_service_pb2.IndexDocument]) -> list[Draft]:
    """Segments as given; only how many there are is checked yet: FieldInvalid."""
    check_count(len(given))
    return [_draft(tenant, document) for document in given]


def _draft(tenant: str, given: index_service_pb2.IndexDocument) -> Draft:
    document = Document(
        tenant,
        given.recording_id,
        given.transcript_id,
        given.segment_id,
        given.start_ms,
        given.end_ms,
        given.language_code,
        given.text,
        given.channel,
    )
    return Draft(document, given.model, given.vector)


def stats(found: IndexStats) -> index_service_pb2.IndexStats:
    """How an index stands."""
    return index_service_pb2.IndexStats(documents=found.documents, vectors=map(_vectors, found.vectors))


def _vectors(of: SpaceStats) -> index_service_pb2.VectorStats:
    return index_service_pb2.VectorStats(
        model=of.model,
        dimensions=of.dimensions,
        alive=of.stats.vectors,
        dead=of.stats.dead,
        loose=of.stats.loose,
        lists=of.stats.lists,
        bytes=of.stats.bytes,
        seq=of.stats.seq,
        newest_seq=of.newest_seq,
        behind=of.behind,
    )
