"""A session of two channels: what is said in one is found in that one alone."""

import json
import sys
from pathlib import Path

import pytest
from ai2text.asr.v1 import result_pb2
from ai2text.metadata.v1 import transcript_service_pb2
from ai2text.search.v1 import filter_pb2, hit_pb2, search_service_pb2

from tests.mesh.running_mesh import Client, RunningMesh
from tests.mesh.speaking import Spoken, clips, found, speak

AI2TEXT = str(Path(sys.executable).parent / "ai2text")


@pytest.fixture(scope="module")
def spoken(client: Client, running: RunningMesh, speech_folder: Path) -> Spoken:
    """Two Vietnamese clips at once, one in each channel; all of it is stored and can be found."""
    left, right = (path for path, _ in clips(speech_folder, "vi")[:2])
    said = speak(client, running, left, "vi", beside=[right])
    for channel in (0, 1):
        found(client, running, longest(said, channel).text, said.recording_id)
    return said


def longest(spoken: Spoken, channel: int) -> result_pb2.FinalResult:
    return max((final for final in spoken.finals if final.channel == channel), key=lambda final: len(final.text))


def search(
    client: Client, running: RunningMesh, query: str, *channels: int, recording_id: str = ""
) -> list[hit_pb2.Hit]:
    request = search_service_pb2.SearchRequest(
        query=query,
        limit=100,
        recording_ids=[recording_id] if recording_id else (),
        filter=filter_pb2.SearchFilter(channels=channels),
    )
    return list(client.search.Search(request, metadata=running.bearer(), timeout=10).hits)


def test_each_transcript_names_its_channel(spoken: Spoken, client: Client, running: RunningMesh) -> None:
    request = transcript_service_pb2.ListTranscriptsRequest(recording_id=spoken.recording_id)
    listed = client.transcripts.ListTranscripts(request, metadata=running.bearer(), timeout=10).transcripts
    channels = {transcript.transcript_id: transcript.channel for transcript in listed}
    assert sorted(channels.values()) == [0, 1]
    assert channels[spoken.transcript_id] == 0
    hits = search(client, running, spoken.finals[0].text, recording_id=spoken.recording_id)
    assert {hit.channel for hit in hits} == {0, 1}
    assert all(hit.channel == channels[hit.transcript_id] for hit in hits)


@pytest.mark.parametrize("channel", [0, 1])
def test_what_is_said_in_a_channel_is_found_in_that_alone(
    spoken: Spoken, client: Client, running: RunningMesh, channel: int
) -> None:
    final = longest(spoken, channel)
    there = search(client, running, final.text, channel, recording_id=spoken.recording_id)
    assert (there[0].channel, there[0].start_ms, there[0].end_ms) == (channel, final.start_ms, final.end_ms)
    assert {hit.channel for hit in there} == {channel}
    elsewhere = search(client, running, final.text, 1 - channel, recording_id=spoken.recording_id)
    assert {hit.channel for hit in elsewhere} == {1 - channel}
    assert there[0].segment_id not in {hit.segment_id for hit in elsewhere}
    assert not search(client, running, final.text, 2, recording_id=spoken.recording_id)


def exported(client: Client, running: RunningMesh, recording_id: str, **channel: int) -> list[str]:
    """The lines of a text."""
    request = transcript_service_pb2.ExportTranscriptRequest(
        recording_id=recording_id, format=transcript_service_pb2.EXPORT_FORMAT_TXT, **channel
    )
    pieces = client.transcripts.ExportTranscript(request, metadata=running.bearer(), timeout=10)
    return "".join(piece.text for piece in pieces).splitlines()


def test_an_export_tells_what_was_said_in_both_by_time_or_in_one(
    spoken: Spoken, client: Client, running: RunningMesh
) -> None:
    listing = transcript_service_pb2.ListTranscriptsRequest(recording_id=spoken.recording_id)
    said: list[tuple[int, int, str]] = []
    for transcript in client.transcripts.ListTranscripts(listing, metadata=running.bearer(), timeout=10).transcripts:
        request = transcript_service_pb2.ListSegmentsRequest(transcript_id=transcript.transcript_id)
        segments = client.transcripts.ListSegments(request, metadata=running.bearer(), timeout=10).segments
        said += [(segment.start_ms, transcript.channel, segment.text) for segment in segments]
    assert {channel for _, channel, _ in said} == {0, 1}
    said.sort(key=lambda one: one[:2])
    lines = [f"[{channel}] {text}" for _, channel, text in said]
    assert exported(client, running, spoken.recording_id) == lines
    alone = [text for _, channel, text in said if channel == 1]
    assert exported(client, running, spoken.recording_id, channel=1) == alone
    command = (AI2TEXT, "--token", running.token(), "recordings", "export", spoken.recording_id, "--format", "txt")
    assert running.run(*command).stdout.splitlines() == lines
    assert running.run(*command, "--channel", "1").stdout.splitlines() == alone


def test_in_all_recordings_too_and_by_the_command(spoken: Spoken, client: Client, running: RunningMesh) -> None:
    text = longest(spoken, 1).text
    hits = search(client, running, text, 1)
    assert spoken.recording_id in {hit.recording_id for hit in hits}
    assert {hit.channel for hit in hits} == {1}
    shown = running.run(AI2TEXT, "--token", running.token(), "search", text, "--channel", "1", "--json")
    assert shown.returncode == 0, shown.stderr
    assert {json.loads(line)["channel"] for line in shown.stdout.splitlines()} == {1}
