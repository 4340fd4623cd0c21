"""The main path: spoken, shown, stored, found."""

import unicodedata
from pathlib import Path

import pytest
from ai2text.metadata.v1 import recording_service_pb2, transcript_pb2, transcript_service_pb2
from ai2text.search.v1 import hit_pb2, search_service_pb2

from bench import scoring
from tests.mesh.running_mesh import Client, RunningMesh
from tests.mesh.speaking import Spoken, clips, found, speak


@pytest.fixture(scope="module")
def spoken(client: Client, running: RunningMesh, speech_folder: Path) -> Spoken:
    """The shortest Vietnamese clip, at real-time pace."""
    clip, _ = clips(speech_folder, "vi")[0]
    return speak(client, running, clip, "vi", pace=1)


def unaccented(text: str) -> str:
    letters = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(c for c in letters if not unicodedata.combining(c))


def test_the_text_is_near_to_what_was_said(
    spoken: Spoken, client: Client, running: RunningMesh, speech_folder: Path
) -> None:
    (_, said), *_, (longest, _) = clips(speech_folder, "vi")
    assert scoring.rates([said], [spoken.text]).cer < 0.4
    # The shortest clip may be over before a busy model has come to a partial.
    assert spoken.partials or speak(client, running, longest, "vi", pace=1).partials
    assert all(final.words and final.end_ms > final.start_ms for final in spoken.finals)


def segments(spoken: Spoken, client: Client, running: RunningMesh) -> list[transcript_pb2.Segment]:
    request = transcript_service_pb2.ListSegmentsRequest(transcript_id=spoken.transcript_id)
    return list(client.transcripts.ListSegments(request, metadata=running.bearer(), timeout=10).segments)


def test_the_finals_are_stored_as_they_were_shown(spoken: Spoken, client: Client, running: RunningMesh) -> None:
    found(client, running, spoken.finals[-1].text, spoken.recording_id)
    stored = segments(spoken, client, running)
    assert [segment.raw_text or segment.text for segment in stored] == [final.text for final in spoken.finals]
    recording = client.recordings.GetRecording(
        recording_service_pb2.GetRecordingRequest(recording_id=spoken.recording_id), metadata=running.bearer()
    ).recording
    assert recording.segment_count == len(spoken.finals)
    assert recording.language_code == "vi"


def test_what_the_text_service_writes_otherwise_is_told_and_stored_beside_the_raw_text(
    client: Client, running: RunningMesh, speech_folder: Path
) -> None:
    clip = speech_folder / "vieneu" / "vinh-nam-mien-nam.wav"
    spoken = speak(client, running, clip, "vi", hotwords=["thương mại hoá"])  # as the mark stood of old
    place, final = next((place, final) for place, final in enumerate(spoken.finals) if "hoá" in final.text)
    refined = final.text.replace("hoá", "hóa")
    better = [each.text for each in spoken.refinements if each.final_index == final.final_index]
    assert better[0] == refined
    assert all("hoá" not in text for text in better)
    found(client, running, refined, spoken.recording_id)
    segment = segments(spoken, client, running)[place]
    assert (segment.text, segment.raw_text) == (refined, final.text)


def test_a_phrase_is_found_with_and_without_accents(spoken: Spoken, client: Client, running: RunningMesh) -> None:
    final = max(spoken.finals, key=lambda final: len(final.text))
    phrase = " ".join(final.text.split()[:5])
    for query in (phrase, unaccented(phrase)):
        hit = found(client, running, query, spoken.recording_id)
        assert isinstance(hit, hit_pb2.Hit)
        assert (hit.start_ms, hit.end_ms) == (final.start_ms, final.end_ms)
        assert hit.snippet.highlights


def test_both_rankings_take_part(spoken: Spoken, client: Client, running: RunningMesh) -> None:
    found(client, running, spoken.finals[0].text, spoken.recording_id)
    request = search_service_pb2.SearchRequest(query=spoken.finals[0].text)
    answer = client.search.Search(request, metadata=running.bearer())
    assert set(answer.rankings) == {hit_pb2.RANKING_SEMANTIC, hit_pb2.RANKING_LEXICAL}
    assert answer.hits[0].semantic_rank


def test_another_tenant_finds_nothing_of_it(spoken: Spoken, client: Client, running: RunningMesh) -> None:
    found(client, running, spoken.finals[0].text, spoken.recording_id)
    request = search_service_pb2.SearchRequest(query=spoken.finals[0].text)
    answer = client.search.Search(request, metadata=running.bearer("rival"))
    assert [hit.recording_id for hit in answer.hits if hit.recording_id == spoken.recording_id] == []


def test_export_has_every_final(spoken: Spoken, client: Client, running: RunningMesh) -> None:
    found(client, running, spoken.finals[-1].text, spoken.recording_id)
    request = transcript_service_pb2.ExportTranscriptRequest(
        recording_id=spoken.recording_id, format=transcript_service_pb2.EXPORT_FORMAT_SRT
    )
    pieces = client.transcripts.ExportTranscript(request, metadata=running.bearer())
    srt = "".join(piece.text for piece in pieces)
    assert "-->" in srt
    for word in spoken.text.split():
        assert word in srt


def test_the_language_is_detected(client: Client, running: RunningMesh, speech_folder: Path) -> None:
    clip, said = clips(speech_folder, "en")[0]
    english = speak(client, running, clip, "")
    assert {final.language_code for final in english.finals} == {"en"}
    assert scoring.rates([said], [english.text]).cer < 0.4
