"""The edge: identity, gRPC, gRPC-web, JSON, reflection, as each kind of client sees them."""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from ai2text.asr.v1 import audio_pb2, speech_service_pb2
from ai2text.metadata.v1 import recording_pb2, recording_service_pb2, transcript_pb2, transcript_service_pb2
from ai2text.search.v1.filter_pb2 import SearchFilter
from ai2text.search.v1.search_service_pb2 import SearchRequest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mesh.keys import Keys
from tests.mesh.running_mesh import Client, RunningMesh, eventually
from tests.mesh.speaking import clips
from tests.rpc import refusals

BIN = Path(sys.executable).parent
SERVICES = (
    "ai2text.asr.v1.SpeechService",
    "ai2text.asr.v1.LiveSessionService",
    "ai2text.embeddings.v1.EmbeddingService",
    "ai2text.metadata.v1.RecordingService",
    "ai2text.metadata.v1.TranscriptService",
    "ai2text.search.v1.IndexService",
    "ai2text.search.v1.SearchService",
)
WEB = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}


@pytest.fixture(scope="module")
def recording_id(client: Client, running: RunningMesh) -> str:
    """A recording of acme with one segment."""
    created = client.recordings.CreateRecording(
        recording_service_pb2.CreateRecordingRequest(title="Edge", source=recording_pb2.RECORDING_SOURCE_FILE),
        metadata=running.bearer(),
    ).recording
    transcript = client.transcripts.CreateTranscript(
        transcript_service_pb2.CreateTranscriptRequest(recording_id=created.recording_id, model="hand"),
        metadata=running.bearer(),
    ).transcript
    segment = transcript_pb2.Segment(segment_index=0, text="một hai ba", start_ms=0, end_ms=1000, confidence=1)
    client.transcripts.AppendSegments(
        transcript_service_pb2.AppendSegmentsRequest(transcript_id=transcript.transcript_id, segments=[segment]),
        metadata=running.bearer(),
    )
    return created.recording_id


def list_recordings(client: Client, metadata: list[tuple[str, str]]) -> grpc.StatusCode:
    """The code of a call with this metadata."""
    try:
        client.recordings.ListRecordings(recording_service_pb2.ListRecordingsRequest(), metadata=metadata, timeout=10)
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


def test_without_a_token_or_with_a_forged_one_a_call_is_unauthenticated(client: Client, running: RunningMesh) -> None:
    token = running.token()
    forged = token[:-8] + ("A" * 8 if not token.endswith("A" * 8) else "B" * 8)
    assert list_recordings(client, []) == grpc.StatusCode.UNAUTHENTICATED
    assert list_recordings(client, [("authorization", f"Bearer {forged}")]) == grpc.StatusCode.UNAUTHENTICATED
    assert list_recordings(client, running.bearer()) == grpc.StatusCode.OK


def test_a_token_that_the_edge_remembers_ends_all_the_same(client: Client, running: RunningMesh) -> None:
    skew_s = 30  # of clocks, which the edge allows
    ends = [("authorization", f"Bearer {Keys(running.home.keys).mint('me', 'acme', ttl=8 - skew_s)}")]
    assert [list_recordings(client, ends) for _ in range(4)] == [grpc.StatusCode.OK] * 4
    eventually(lambda: list_recordings(client, ends), lambda code: code == grpc.StatusCode.UNAUTHENTICATED)


def test_identity_headers_of_the_client_are_not_believed(
    client: Client, running: RunningMesh, recording_id: str
) -> None:
    claimed = [("x-ai2text-tenant", "acme"), ("x-ai2text-subject", "root"), ("x-ai2text-scopes", "recordings.read")]
    assert list_recordings(client, claimed) == grpc.StatusCode.UNAUTHENTICATED
    request = recording_service_pb2.GetRecordingRequest(recording_id=recording_id)
    with pytest.raises(grpc.RpcError) as info:
        client.recordings.GetRecording(request, metadata=[*claimed, *running.bearer("rival")])
    assert info.value.code() == grpc.StatusCode.NOT_FOUND


def test_another_tenants_recording_is_not_found(client: Client, running: RunningMesh, recording_id: str) -> None:
    request = recording_service_pb2.GetRecordingRequest(recording_id=recording_id)
    assert client.recordings.GetRecording(request, metadata=running.bearer()).recording.title == "Edge"
    with pytest.raises(grpc.RpcError) as info:
        client.recordings.GetRecording(request, metadata=running.bearer("rival"))
    refused = refusals.of(info.value)
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "RECORDING_NOT_FOUND")


def test_a_missing_scope_is_denied(client: Client, running: RunningMesh) -> None:
    assert list_recordings(client, running.bearer(scopes=("speech",))) == grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    "tool", [("buf", "curl", "--http2-prior-knowledge", "--list-services"), ("grpcurl", "-plaintext")]
)
def test_reflection_lists_the_services(running: RunningMesh, tool: tuple[str, ...]) -> None:
    target = running.url if tool[0] == "buf" else running.ports.address("edge")
    arguments = [target] if tool[0] == "buf" else [target, "list"]
    listed = running.run(str(BIN / tool[0]), *tool[1:], *arguments)
    assert set(SERVICES) <= set(listed.stdout.split()), listed.stderr


def test_recognize_answers_buf_curl_and_grpcurl(running: RunningMesh, speech_folder: Path) -> None:
    clip, _ = clips(speech_folder, "vi")[0]
    body = json.dumps(
        {
            "format": {"encoding": "AUDIO_ENCODING_WAV"},
            "languageCode": "vi",
            "audio": base64.b64encode(clip.read_bytes()).decode(),
        }
    )
    request = running.home.root / "recognize.json"
    request.write_text(body)
    bearer = f"authorization: Bearer {running.token()}"
    method = "ai2text.asr.v1.SpeechService/Recognize"
    buf = running.run(
        str(BIN / "buf"), "curl", "--http2-prior-knowledge", "--protocol", "grpc", "-H", bearer,
        "-d", f"@{request}", f"{running.url}/{method}",
    )  # fmt: skip
    assert json.loads(buf.stdout)["results"][0]["text"], buf.stderr
    # grpcurl takes a body as an argument only up to the kernel's limit of 128 KiB: a short piece of silence will do.
    short = json.dumps({"format": {"encoding": "AUDIO_ENCODING_LINEAR16", "sampleRateHz": 16000}, "audio": "AAAA"})
    grpcurl = running.run(
        str(BIN / "grpcurl"), "-plaintext", "-H", bearer, "-d", short, running.ports.address("edge"), method
    )
    assert grpcurl.returncode == 0, grpcurl.stderr
    assert "results" not in json.loads(grpcurl.stdout)


def test_json_search_answers_by_post_and_by_get(running: RunningMesh) -> None:
    headers = {"authorization": f"Bearer {running.token()}"}
    posted = httpx.post(f"{running.url}/v1/search", json={"query": "một hai"}, headers=headers, timeout=10)
    got = httpx.get(f"{running.url}/v1/search", params={"query": "một hai"}, headers=headers, timeout=10)
    assert posted.status_code == got.status_code == 200
    assert posted.json()["rankings"] == got.json()["rankings"]


def test_texts_are_compared_with_a_question_in_another_language(running: RunningMesh) -> None:
    texts = ["Giá xăng dầu tăng mạnh trong tuần qua.", "Con mèo ngủ trên mái nhà.", "Hội nghị bàn về thuế nhập khẩu."]
    headers = {"authorization": f"Bearer {running.token()}"}
    asked = {"query": "where does the cat sleep?", "texts": texts}
    answer = httpx.post(f"{running.url}/v1/embeddings:rerank", json=asked, headers=headers, timeout=20)
    assert answer.status_code == 200, answer.text
    scores = answer.json()["scores"]
    assert max(range(3), key=scores.__getitem__) == 1
    assert -1 <= min(scores) < max(scores) <= 1


def test_json_errors_carry_the_status(running: RunningMesh) -> None:
    headers = {"authorization": f"Bearer {running.token()}"}
    anonymous = httpx.post(f"{running.url}/v1/search", json={"query": "x"}, timeout=10)
    assert anonymous.status_code == 401
    unknown = httpx.get(
        f"{running.url}/v1/recordings/9a0f1b2c-0000-4000-8000-000000000000", headers=headers, timeout=10
    )
    assert unknown.status_code == 404
    assert unknown.json()["details"][0]["reason"] == "ERROR_REASON_RECORDING_NOT_FOUND"
    assert httpx.get(f"{running.url}/v1/nowhere", headers=headers, timeout=10).status_code == 404


def test_json_export_is_a_stream(running: RunningMesh, recording_id: str) -> None:
    headers = {"authorization": f"Bearer {running.token()}"}
    url = f"{running.url}/v1/recordings/{recording_id}:export"
    answer = httpx.get(url, params={"format": "EXPORT_FORMAT_TXT"}, headers=headers, timeout=10)
    assert "".join(piece["text"] for piece in answer.json()).strip() == "một hai ba"


def web(running: RunningMesh, method: str, request: Message) -> tuple[list[bytes], str]:
    """A gRPC-web call: its messages, and its trailers."""
    body = request.SerializeToString()
    headers = {**WEB, "authorization": f"Bearer {running.token()}"}
    frame = b"\0" + len(body).to_bytes(4, "big") + body
    answer = httpx.post(f"{running.url}/{method}", content=frame, headers=headers, timeout=10)
    assert answer.status_code == 200
    messages, trailers, rest = [], "", answer.content
    while rest:
        length = int.from_bytes(rest[1:5], "big")
        part, flags, rest = rest[5 : 5 + length], rest[0], rest[5 + length :]
        if flags & 0x80:
            trailers = part.decode()
        else:
            messages.append(part)
    return messages, trailers


def test_grpc_web_unary_and_server_stream(running: RunningMesh, recording_id: str) -> None:
    messages, trailers = web(
        running,
        "ai2text.asr.v1.SpeechService/GetCapabilities",
        speech_service_pb2.GetCapabilitiesRequest(),
    )
    can = speech_service_pb2.GetCapabilitiesResponse.FromString(messages[0])
    assert audio_pb2.AUDIO_ENCODING_LINEAR16 in can.encodings
    assert "grpc-status:0" in trailers.replace(" ", "")
    messages, trailers = web(
        running,
        "ai2text.metadata.v1.TranscriptService/ExportTranscript",
        transcript_service_pb2.ExportTranscriptRequest(
            recording_id=recording_id, format=transcript_service_pb2.EXPORT_FORMAT_VTT
        ),
    )
    pieces = [transcript_service_pb2.ExportTranscriptResponse.FromString(message).text for message in messages]
    assert "".join(pieces).startswith("WEBVTT")
    assert "grpc-status:0" in trailers.replace(" ", "")


def test_health_is_served_without_a_token(running: RunningMesh) -> None:
    with grpc.insecure_channel(running.ports.address("edge")) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        answer = health.Check(health_pb2.HealthCheckRequest(), timeout=5)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a_fifty_megabyte_message_is_refused_and_the_server_lives(client: Client, running: RunningMesh) -> None:
    linear = audio_pb2.AudioFormat(encoding=audio_pb2.AUDIO_ENCODING_LINEAR16, sample_rate_hz=16_000)
    request = speech_service_pb2.RecognizeRequest(format=linear, audio=b"\0" * (50 * 1024 * 1024))
    with pytest.raises(grpc.RpcError) as info:
        client.speech.Recognize(request, metadata=running.bearer(), timeout=30)
    refused = refusals.of(info.value)
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "AUDIO_TOO_LARGE")
    assert client.speech.GetCapabilities(speech_service_pb2.GetCapabilitiesRequest(), metadata=running.bearer()).model


def test_search_filters_by_labels_as_they_are_now(client: Client, running: RunningMesh, recording_id: str) -> None:
    """What metadata tells of a recording, through NATS into the index."""
    bearer = running.bearer()

    def found(team: str, **fields: Any) -> set[str]:
        narrowed = SearchFilter(labels={"team": team})
        request = SearchRequest(query="một hai ba", filter=narrowed, limit=100, **fields)
        return {hit.recording_id for hit in client.search.Search(request, metadata=bearer, timeout=15).hits}

    assert found("edge") == set()
    changed = recording_pb2.Recording(recording_id=recording_id, labels={"team": "edge"})
    change = recording_service_pb2.UpdateRecordingRequest(recording=changed)
    client.recordings.UpdateRecording(change, metadata=bearer)
    eventually(lambda: found("edge"), lambda ids: ids == {recording_id})
    assert found("other") == set()
    assert found("edge", explain=True) == {recording_id}


def test_the_index_is_shown_to_admins_alone(running: RunningMesh, recording_id: str) -> None:
    url = f"{running.url}/v1/searchIndex"

    def asked(*scopes: str) -> httpx.Response:
        return httpx.get(url, headers={"authorization": f"Bearer {running.token(scopes=scopes)}"}, timeout=15)

    assert asked("search").status_code == 403
    stats = eventually(lambda: asked("admin").json()["stats"], lambda stats: "documents" in stats)
    assert int(stats["documents"]) >= 1
    answer = httpx.post(f"{url}:snapshot", json={}, headers=dict(running.bearer()), timeout=15)
    assert all("loose" not in vectors for vectors in answer.json()["stats"]["vectors"])
