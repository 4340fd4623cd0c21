"""IndexService over a real port: how the index stands, what is written anew, stored and deleted, and for whom."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from ai2text.search.v1.index_service_pb2 import (
    CompactIndexRequest,
    CreateSnapshotRequest,
    DeleteDocumentsRequest,
    GetIndexStatsRequest,
    IndexDocument,
    IndexStats,
    UpsertDocumentsRequest,
)
from ai2text.search.v1.search_service_pb2 import SearchRequest

from servers.search import snapshots
from tests.rpc.embeddings_server import MODEL, headers, letters
from tests.rpc.refusals import refusal
from tests.rpc.search_server import Served, segment, served

ADMIN = headers("admin")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as server:
        yield server


async def stats(server: Served, tenant: str = "acme") -> IndexStats:
    answer = await server.index.GetIndexStats(GetIndexStatsRequest(), metadata=headers("admin", tenant=tenant))
    found: IndexStats = answer.stats
    return found


async def snapshot(server: Served, tenant: str = "acme") -> IndexStats:
    answer = await server.index.CreateSnapshot(CreateSnapshotRequest(), metadata=headers("admin", tenant=tenant))
    found: IndexStats = answer.stats
    return found


async def compact(server: Served, tenant: str = "acme") -> IndexStats:
    answer = await server.index.CompactIndex(CompactIndexRequest(), metadata=headers("admin", tenant=tenant))
    found: IndexStats = answer.stats
    return found


async def upsert(server: Served, *documents: IndexDocument, tenant: str = "acme") -> None:
    request = UpsertDocumentsRequest(documents=documents)
    await server.index.UpsertDocuments(request, metadata=headers("admin", tenant=tenant))
    await server.follow(tenant)


async def delete(server: Served, *segment_ids: str, tenant: str = "acme") -> int:
    request = DeleteDocumentsRequest(segment_ids=segment_ids)
    answer = await server.index.DeleteDocuments(request, metadata=headers("admin", tenant=tenant))
    await server.follow(tenant)
    count: int = answer.deleted_count
    return count


async def found(server: Served, query: str, tenant: str = "acme") -> list[str]:
    answer = await server.search.Search(SearchRequest(query=query), metadata=headers("search", tenant=tenant))
    return [hit.segment_id for hit in answer.hits]


def document(segment_id: str = "s1", text: str = "xin chào", **fields: Any) -> IndexDocument:
    given = {"recording_id": "r1", "transcript_id": "t1", "start_ms": 5, "end_ms": 9, "language_code": "vi"}
    vector = letters(text or "x").tolist()
    return IndexDocument(
        **(given | {"segment_id": segment_id, "text": text, "model": MODEL, "vector": vector} | fields)
    )


async def test_the_stats_of_a_tenant_are_its_own(server: Served) -> None:
    assert await stats(server) == IndexStats()
    await server.put([segment(f"s{n}", f"câu {n}") for n in range(3)])
    await server.put([segment("theirs", "câu", tenant="rival")])
    await found(server, "câu")  # searches bring an index to the newest vector
    mine = await stats(server)
    (vectors,) = mine.vectors
    assert mine.documents == 3
    assert (vectors.model, vectors.dimensions) == (MODEL, len(letters("x")))
    assert (vectors.alive, vectors.dead, vectors.loose, vectors.lists) == (3, 0, 3, 0)
    assert (vectors.seq, vectors.newest_seq, vectors.behind) == (3, 3, False)
    assert vectors.bytes > 0
    theirs = await stats(server, "rival")
    assert (theirs.documents, theirs.vectors[0].alive, theirs.vectors[0].newest_seq) == (1, 1, 4)


async def test_an_index_that_has_not_come_to_the_newest_is_behind(server: Served) -> None:
    await server.put([segment("s1", "câu")])
    await found(server, "câu")
    await server.put([segment("s2", "câu")])
    (vectors,) = (await stats(server)).vectors
    assert (vectors.seq, vectors.newest_seq, vectors.behind, vectors.alive) == (1, 2, True, 1)


async def test_a_snapshot_brings_all_into_lists_on_disk(server: Served, tmp_path: Path) -> None:
    await server.put([segment(f"s{n}", f"câu {n}") for n in range(3)])
    (vectors,) = (await snapshot(server)).vectors
    assert (vectors.alive, vectors.loose, vectors.lists, vectors.behind) == (3, 0, 1, False)
    files = sorted(path.name for path in (tmp_path / "vectors").glob("*.data"))
    assert len(files) == 1
    assert await snapshot(server) == await stats(server)
    assert sorted(path.name for path in (tmp_path / "vectors").glob("*.data")) == files, "there was nothing new"
    assert await found(server, "câu 1")


async def test_what_a_snapshot_holds_is_not_read_again(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        await server.put([segment(f"s{n}", f"câu {n}") for n in range(3)])
        await snapshot(server)
    async with served(tmp_path) as server:
        (vectors,) = (await stats(server)).vectors
        assert (vectors.alive, vectors.loose, vectors.seq) == (3, 0, 3)


async def test_a_compaction_lets_go_of_what_is_dead(server: Served) -> None:
    await server.put([segment(f"s{n}", f"câu {n}") for n in range(30)])
    await snapshot(server)
    assert await delete(server, "s0", "s1") == 2
    await found(server, "câu")
    (before,) = (await stats(server)).vectors
    assert (before.alive, before.dead) == (28, 2)
    (after,) = (await compact(server)).vectors
    assert (after.alive, after.dead, after.loose, after.behind) == (28, 0, 0, False)
    assert after.bytes < before.bytes
    assert len(await found(server, "câu")) == 10


async def test_a_compaction_of_nothing_and_of_all_that_is_dead(server: Served) -> None:
    assert await compact(server) == IndexStats()
    await server.put([segment("s1", "câu")])
    await snapshot(server)
    await delete(server, "s1")
    compacted = await compact(server)
    assert (compacted.documents, compacted.vectors[0].alive, compacted.vectors[0].dead) == (0, 0, 0)
    assert await found(server, "câu") == []
    await server.put([segment("s2", "câu")])
    assert await found(server, "câu") == ["s2"]


async def test_another_tenant_s_index_is_not_written(server: Served, tmp_path: Path) -> None:
    await server.put([segment("s1", "câu"), segment("s2", "câu", tenant="rival")])
    await snapshot(server, "rival")
    assert (await stats(server)).vectors[0].loose == 1
    assert (await stats(server, "rival")).vectors[0].loose == 0


async def test_a_disk_that_fails_is_said(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left")

    await server.put([segment("s1", "câu")])
    monkeypatch.setattr(snapshots, "save", fail)
    refused = await refusal(server.index.CreateSnapshot(CreateSnapshotRequest(), metadata=ADMIN))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
    assert "space" not in refused.message
    assert await found(server, "câu") == ["s1"]


async def test_what_is_stored_is_found_as_it_was_given(server: Served) -> None:
    await upsert(server, document("S1", recording_id="R1", transcript_id="T1", channel=7), document("s2", "tạm biệt"))
    answer = await server.search.Search(SearchRequest(query="xin chao", limit=1), metadata=headers("search"))
    (hit,) = answer.hits
    assert (hit.recording_id, hit.transcript_id, hit.segment_id) == ("r1", "t1", "s1")
    assert (hit.start_ms, hit.end_ms, hit.language_code, hit.snippet.text) == (5, 9, "vi", "xin chào")
    assert hit.channel == 7
    assert hit.semantic_rank == hit.lexical_rank == 1
    assert await found(server, "xin chào", tenant="rival") == []


async def test_the_same_again_changes_nothing_and_another_text_takes_its_place(server: Served) -> None:
    for _ in range(2):
        await upsert(server, document())
    assert (await stats(server)).vectors[0].newest_seq == 1
    await upsert(server, document(text="tạm biệt"))
    assert (await stats(server)).documents == 1
    assert await found(server, '"tạm biệt"') == ["s1"]
    assert await found(server, '"xin chào"') == []


async def test_one_that_is_refused_refuses_all(server: Served) -> None:
    request = UpsertDocumentsRequest(documents=[document("s1"), document("s2", vector=[1.0, 1.0])])
    refused = await refusal(server.index.UpsertDocuments(request, metadata=ADMIN))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refused.field == "documents[1].vector"
    assert (await stats(server)).documents == 0


async def test_of_a_deleted_recording_nothing_is_stored(server: Served) -> None:
    await server.shelves.delete("acme", "r1")
    await upsert(server, document("s1"), document("s2", recording_id="r2"))
    assert await found(server, "xin chào") == ["s2"]


async def test_what_is_deleted_is_found_no_more_and_may_come_again(server: Served) -> None:
    await upsert(server, document("s1"), document("s2"))
    await upsert(server, document("s1"), tenant="rival")
    assert await delete(server, "S1", "s1", "nowhere") == 1
    assert await found(server, "xin chào") == ["s2"]
    assert await found(server, "xin chào", tenant="rival") == ["s1"]
    assert await delete(server, "s1") == 0
    await upsert(server, document("s1"))
    assert sorted(await found(server, "xin chào")) == ["s1", "s2"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"segment_id": ""}, "segment_id"),
        ({"segment_id": "x" * 101}, "segment_id"),
        ({"recording_id": ""}, "recording_id"),
        ({"recording_id": "x" * 101}, "recording_id"),
        ({"transcript_id": "x" * 101}, "transcript_id"),
        ({"model": ""}, "model"),
        ({"model": "x" * 101}, "model"),
        ({"text": " "}, "text"),
        ({"text": "x" * 8193}, "text"),
        ({"language_code": "Vietnamese"}, "language_code"),
        ({"start_ms": -1}, "start_ms"),
        ({"start_ms": 2**63 - 1, "end_ms": 2**63 - 1}, "start_ms"),
        ({"end_ms": 4}, "end_ms"),
        ({"channel": 8}, "channel"),
        ({"vector": []}, "vector"),
        ({"vector": [float("nan")]}, "vector"),
    ],
)
async def test_a_wrong_field_is_named(server: Served, fields: dict[str, Any], field: str) -> None:
    request = UpsertDocumentsRequest(documents=[document(**fields)])
    refused = await refusal(server.index.UpsertDocuments(request, metadata=ADMIN))
    assert (refused.code, refused.field) == (grpc.StatusCode.INVALID_ARGUMENT, f"documents[0].{field}")


@pytest.mark.parametrize("count", [0, 101])
async def test_how_many_may_be_stored_at_once(server: Served, count: int) -> None:
    request = UpsertDocumentsRequest(documents=[document(f"s{n}") for n in range(count)])
    refused = await refusal(server.index.UpsertDocuments(request, metadata=ADMIN))
    assert (refused.reason, refused.field) == ("FIELD_INVALID", "documents")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ([], "segment_ids"),
        (["x"] * 1001, "segment_ids"),
        (["x", ""], "segment_ids[1]"),
        (["x" * 101], "segment_ids[0]"),
    ],
)
async def test_which_may_be_deleted_at_once(server: Served, given: list[str], field: str) -> None:
    request = DeleteDocumentsRequest(segment_ids=given)
    refused = await refusal(server.index.DeleteDocuments(request, metadata=ADMIN))
    assert (refused.reason, refused.field) == ("FIELD_INVALID", field)


async def test_the_most_that_may_be_stored_and_deleted_at_once(server: Served) -> None:
    await upsert(server, *(document(f"s{n}") for n in range(100)))
    assert (await stats(server)).documents == 100
    assert await delete(server, *(f"s{n}" for n in range(1000))) == 100


async def test_every_method_needs_an_identity_and_the_scope(server: Served) -> None:
    calls = {
        server.index.GetIndexStats: GetIndexStatsRequest(),
        server.index.CreateSnapshot: CreateSnapshotRequest(),
        server.index.CompactIndex: CompactIndexRequest(),
        server.index.UpsertDocuments: UpsertDocumentsRequest(documents=[document()]),
        server.index.DeleteDocuments: DeleteDocumentsRequest(segment_ids=["s1"]),
    }
    for method, request in calls.items():
        refused = await refusal(method(request, metadata=headers("search", "recordings.write")))
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
        assert refused.metadata == {"scope": "admin"}
        assert (await refusal(method(request))).code == grpc.StatusCode.UNAUTHENTICATED
    assert (await stats(server)).documents == 0
