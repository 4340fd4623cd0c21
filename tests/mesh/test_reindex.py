"""An index that was lost, with all that NATS kept for it, is filled again from Postgres: by one command where the
streams are there still, and without anybody asking where they are not.
"""

import asyncio
import json
import shutil
import sys
import uuid
from pathlib import Path

import nats
import pytest
from ai2text.metadata.v1 import recording_pb2, recording_service_pb2, transcript_pb2, transcript_service_pb2
from ai2text.search.v1 import hit_pb2, search_service_pb2

from tests.mesh.running_mesh import Client, RunningMesh, eventually
from tests.mesh.speaking import found

AI2TEXT = str(Path(sys.executable).parent / "ai2text")
SENTENCE = "thuyền buồm ra khơi lúc bình minh"


@pytest.fixture
def recording_id(client: Client, running: RunningMesh) -> str:
    """A recording of acme in whose second channel SENTENCE was said."""
    created = client.recordings.CreateRecording(
        recording_service_pb2.CreateRecordingRequest(title="Lost", source=recording_pb2.RECORDING_SOURCE_FILE),
        metadata=running.bearer(),
    ).recording
    transcript = client.transcripts.CreateTranscript(
        transcript_service_pb2.CreateTranscriptRequest(recording_id=created.recording_id, model="hand", channel=1),
        metadata=running.bearer(),
    ).transcript
    segment = transcript_pb2.Segment(segment_index=0, text=SENTENCE, start_ms=0, end_ms=1000, confidence=1)
    client.transcripts.AppendSegments(
        transcript_service_pb2.AppendSegmentsRequest(transcript_id=transcript.transcript_id, segments=[segment]),
        metadata=running.bearer(),
    )
    return created.recording_id


def lose_index(running: RunningMesh) -> None:
    """Empty the streams that an index is filled from, and the index."""

    async def purge() -> None:
        connection = await nats.connect(f"nats://{running.ports.address('nats')}")
        for stream in ("RECORDINGS", "TRANSCRIPTS", "EMBEDDINGS"):
            await connection.jetstream().purge_stream(stream)
        await connection.close()

    asyncio.run(purge())
    lose(running, "search", running.home.search)


def lose(running: RunningMesh, part: str, folder: Path) -> None:
    """Remove what a part keeps; it is there again, with nothing, when this returns."""
    lost = folder.rename(folder.with_name(f"{folder.name}-lost"))  # in one step, for it is being written in
    killed = running.kill(part)
    shutil.rmtree(lost)
    eventually(running.parts, lambda parts: parts[part]["well"] and int(parts[part]["pid"]) != killed, 90)


def answer(client: Client, running: RunningMesh) -> search_service_pb2.SearchResponse:
    """To a question with words of its own, which no cache knows."""
    request = search_service_pb2.SearchRequest(query=f"{SENTENCE} {uuid.uuid4().hex}", limit=100)
    return client.search.Search(request, metadata=running.bearer(), timeout=10)


def test_what_an_index_has_lost_is_found_again_after_reindex(
    client: Client, running: RunningMesh, recording_id: str
) -> None:
    found(client, running, SENTENCE, recording_id)
    lose_index(running)
    assert recording_id not in {hit.recording_id for hit in answer(client, running).hits}

    done = running.run(AI2TEXT, "reindex", "--json", timeout_s=240)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["segments"] >= 1
    building = search_service_pb2.INDEX_STATUS_BUILDING
    eventually(lambda: answer(client, running).index_status, lambda status: status == building, 6)
    hit = found(client, running, SENTENCE, recording_id)
    assert isinstance(hit, hit_pb2.Hit)
    assert hit.channel == 1
    eventually(lambda: answer(client, running).index_status, lambda status: status != building, 30)


def test_what_was_lost_with_the_disk_of_nats_is_found_again_without_anybody_asking(
    client: Client, running: RunningMesh, recording_id: str
) -> None:
    found(client, running, SENTENCE, recording_id)
    lose(running, "nats", running.home.nats)
    lose(running, "search", running.home.search)
    eventually(lambda: {hit.recording_id for hit in answer(client, running).hits}, lambda ids: recording_id in ids, 90)


def test_a_caller_who_is_no_operator_is_refused(client: Client, running: RunningMesh) -> None:
    token = running.token(scopes=("recordings.read", "recordings.write", "search"))
    refused = running.run(AI2TEXT, "--token", token, "reindex")
    assert refused.returncode == 1
    assert "admin" in refused.stderr
