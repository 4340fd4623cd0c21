"""The edge, with a real Envoy in front of a small server that remembers the headers it was called with."""

import base64
import json
import struct
import time
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from ai2text.asr.v1 import speech_service_pb2, speech_service_pb2_grpc
from ai2text.ingestion.v1 import ingestion_service_pb2, ingestion_service_pb2_grpc
from ai2text.metadata.v1 import transcript_service_pb2, transcript_service_pb2_grpc
from ai2text.search.v1 import (
    hit_pb2,
    index_service_pb2,
    index_service_pb2_grpc,
    search_service_pb2,
    search_service_pb2_grpc,
)
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from mesh.edge import AWAY, Edge, Endpoint
from mesh.home import Home
from mesh.keys import Keys
from mesh.ports import Ports
from tests.free_ports import free_ports
from tests.unit.running_envoy import running

SERVICES = ("ai2text.asr.v1.SpeechService", "ai2text.search.v1.SearchService", "ai2text.metadata.v1.TranscriptService")
ORIGIN = "http://localhost:5173"


class Backend(
    speech_service_pb2_grpc.SpeechServiceServicer,
    search_service_pb2_grpc.SearchServiceServicer,
    index_service_pb2_grpc.IndexServiceServicer,
    transcript_service_pb2_grpc.TranscriptServiceServicer,
    ingestion_service_pb2_grpc.IngestionServiceServicer,
):
    """Answers what the tests ask."""

    def Search(self, request: Any, context: Any) -> search_service_pb2.SearchResponse:
        if request.query == "broken":
            detail = any_pb2.Any()
            detail.Pack(error_details_pb2.ErrorInfo(reason="ERROR_REASON_FIELD_INVALID", domain="ai2text"))
            status = status_pb2.Status(code=code_pb2.INVALID_ARGUMENT, message="no such query", details=[detail])
            context.abort_with_status(rpc_status.to_status(status))
        if request.query == "slow":
            time.sleep(3)
        hit = hit_pb2.Hit(segment_id=request.query, start_ms=1500)
        if request.HasField("filter"):
            after = request.filter.recorded_after.ToJsonString()
            hit.recording_id = f"{dict(request.filter.labels)} {after} {request.filter.start_ms}"
        return search_service_pb2.SearchResponse(hits=[hit])

    def BatchSearch(self, request: Any, context: Any) -> search_service_pb2.BatchSearchResponse:
        return search_service_pb2.BatchSearchResponse(responses=(self.Search(one, context) for one in request.requests))

    def GetIndexStats(self, request: Any, context: Any) -> index_service_pb2.GetIndexStatsResponse:
        return index_service_pb2.GetIndexStatsResponse(stats=index_service_pb2.IndexStats(documents=7))

    def DeleteDocuments(self, request: Any, context: Any) -> index_service_pb2.DeleteDocumentsResponse:
        return index_service_pb2.DeleteDocumentsResponse(deleted_count=len(request.segment_ids))

    def Recognize(self, request: Any, context: Any) -> speech_service_pb2.RecognizeResponse:
        return speech_service_pb2.RecognizeResponse(duration_ms=len(request.audio))

    def StreamingRecognize(self, requests: Any, context: Any) -> Iterator[Any]:
        for request in requests:
            yield speech_service_pb2.StreamingRecognizeResponse(
                session_started=speech_service_pb2.SessionStarted(session_id=request.WhichOneof("payload"))
            )

    def ExportTranscript(self, request: Any, context: Any) -> Iterator[Any]:
        said = f" kênh {request.channel}\n" if request.HasField("channel") else " xin chào\n"
        for text in ("1\n", "00:00", said):
            yield transcript_service_pb2.ExportTranscriptResponse(text=text)

    def CreateDownload(self, request: Any, context: Any) -> ingestion_service_pb2.CreateDownloadResponse:
        return ingestion_service_pb2.CreateDownloadResponse(url=f"https://files/{request.recording_id}?a=b&c=d%2F")


class Headers(grpc.ServerInterceptor):
    """Keeps the headers of every call that reaches the server."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        self.seen.append((details.method, dict(details.invocation_metadata)))
        return continuation(details)

    def last(self, method: str) -> dict[str, str]:
        return next(headers for name, headers in reversed(self.seen) if name.endswith("/" + method))


@dataclass
class Mesh:
    """The edge under test, and what reached the server behind it."""

    ports: Ports
    keys: Keys
    headers_seen: Headers

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.ports.edge}"

    def authorization(self, **claims: Any) -> tuple[str, str]:
        return "authorization", "Bearer " + self.keys.mint(**({"subject": "an", "tenant": "acme"} | claims))

    def headers(self, **more: str) -> dict[str, str]:
        return dict([self.authorization()]) | more

    def post(self, path: str, **kwargs: Any) -> httpx.Response:
        return httpx.post(f"http://{self.address}{path}", timeout=10, **kwargs)


def _serve(headers: Headers) -> tuple[grpc.Server, int]:
    options = [("grpc.max_receive_message_length", 64 << 20)]
    server, backend = grpc.server(futures.ThreadPoolExecutor(8), interceptors=[headers], options=options), Backend()
    search_service_pb2_grpc.add_SearchServiceServicer_to_server(backend, server)
    index_service_pb2_grpc.add_IndexServiceServicer_to_server(backend, server)
    speech_service_pb2_grpc.add_SpeechServiceServicer_to_server(backend, server)
    transcript_service_pb2_grpc.add_TranscriptServiceServicer_to_server(backend, server)
    ingestion_service_pb2_grpc.add_IngestionServiceServicer_to_server(backend, server)
    checks = health.HealthServicer()
    checks.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    reflection.enable_server_reflection([*SERVICES, reflection.SERVICE_NAME], server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def _edge(home: Home, ports: Ports, backend_port: int) -> Edge:
    upstream = Endpoint("127.0.0.1", backend_port)
    local = Edge.local(ports, home)
    asr = (upstream,)
    return replace(local, asr_stable=asr, asr_canary=asr, metadata=upstream, search=upstream, ingestion=upstream)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("edge")
    home, ports, seen = Home.from_env({"AI2TEXT_HOME": str(folder)}), free_ports(), Headers()
    keys = Keys(home.keys)
    keys.ensure()
    server, backend_port = _serve(seen)
    try:
        with running(folder, _edge(home, ports, backend_port)):
            yield Mesh(ports, keys, seen)
    finally:
        server.stop(0).wait()


@pytest.fixture
def channel(mesh: Mesh) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(mesh.address) as channel:
        yield channel


def _search(channel: grpc.Channel, query: str, *metadata: tuple[str, str], timeout: float = 10) -> Any:
    stub = search_service_pb2_grpc.SearchServiceStub(channel)
    return stub.Search(search_service_pb2.SearchRequest(query=query), metadata=metadata, timeout=timeout)


def test_without_a_token_grpc_is_unauthenticated(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        _search(channel, "xin chào")
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert refused.value.details() == "Jwt is missing"


def test_a_token_of_another_key_is_unauthenticated(channel: grpc.Channel, tmp_path: Path) -> None:
    stranger = Keys(tmp_path)
    stranger.ensure()
    with pytest.raises(grpc.RpcError) as refused:
        _search(channel, "xin chào", ("authorization", "Bearer " + stranger.mint("an", "acme")))
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_an_expired_token_is_unauthenticated(mesh: Mesh, channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        _search(channel, "xin chào", mesh.authorization(ttl=-60))
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert refused.value.details() == "Jwt is expired"


def test_claims_arrive_as_headers_and_the_token_does_not(mesh: Mesh, channel: grpc.Channel) -> None:
    _search(channel, "xin chào", mesh.authorization(scopes=["search", "speech"]))
    seen = mesh.headers_seen.last("Search")
    assert seen["x-ai2text-subject"] == "an"
    assert seen["x-ai2text-tenant"] == "acme"
    assert seen["x-ai2text-scopes"] == "search speech"
    assert "authorization" not in seen
    assert "traceparent" in seen


def test_the_clients_own_claim_headers_are_stripped(mesh: Mesh, channel: grpc.Channel) -> None:
    forged = [("x-ai2text-tenant", "rival"), ("x-ai2text-subject", "root"), ("x-ai2text-scopes", "everything")]
    _search(channel, "xin chào", mesh.authorization(), *forged)
    seen = mesh.headers_seen.last("Search")
    assert (seen["x-ai2text-tenant"], seen["x-ai2text-subject"]) == ("acme", "an")
    assert "everything" not in str(seen["x-ai2text-scopes"])


def test_a_server_without_versions_answers_without_a_version(mesh: Mesh, channel: grpc.Channel) -> None:
    stub = search_service_pb2_grpc.SearchServiceStub(channel)
    request = search_service_pb2.SearchRequest(query="xin chào")
    _, call = stub.Search.with_call(request, metadata=[mesh.authorization()], timeout=10)
    assert not {"x-ai2text-version", "x-ai2text-server"} & {name for name, _ in call.initial_metadata()}


def test_a_claim_that_the_token_lacks_cannot_be_forged(mesh: Mesh, channel: grpc.Channel) -> None:
    _search(channel, "xin chào", mesh.authorization(scopes=[]), ("x-ai2text-scopes", "search"))
    assert not mesh.headers_seen.last("Search").get("x-ai2text-scopes")


def test_claim_headers_are_stripped_on_open_routes_too(mesh: Mesh, channel: grpc.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    ask = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    assert list(stub.ServerReflectionInfo(ask, metadata=[("x-ai2text-tenant", "rival"), ("x-kept", "1")], timeout=5))
    seen = mesh.headers_seen.last("ServerReflectionInfo")
    assert "x-ai2text-tenant" not in seen
    assert seen["x-kept"] == "1"


def test_reflection_needs_no_token(channel: grpc.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    ask = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    answer = next(iter(stub.ServerReflectionInfo(ask, timeout=5)))
    assert set(SERVICES) <= {service.name for service in answer.list_services_response.service}


def test_a_bidirectional_stream_answers_message_by_message(mesh: Mesh, channel: grpc.Channel) -> None:
    stub = speech_service_pb2_grpc.SpeechServiceStub(channel)
    asked: list[Any] = [
        speech_service_pb2.StreamingRecognizeRequest(config=speech_service_pb2.StreamingConfig()),
        speech_service_pb2.StreamingRecognizeRequest(audio=b"\0\0"),
    ]
    answers = stub.StreamingRecognize(iter(asked), metadata=[mesh.authorization()], timeout=10)
    assert [answer.session_started.session_id for answer in answers] == ["config", "audio"]


def test_a_clients_deadline_is_kept_at_the_edge(mesh: Mesh, channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as late:
        _search(channel, "slow", mesh.authorization(), timeout=0.5)
    assert late.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_32_mib_message_passes(mesh: Mesh, channel: grpc.Channel) -> None:
    stub = speech_service_pb2_grpc.SpeechServiceStub(channel)
    request = speech_service_pb2.RecognizeRequest(audio=bytes(32 << 20))
    assert stub.Recognize(request, metadata=[mesh.authorization()], timeout=30).duration_ms == 32 << 20


def test_an_upstream_that_is_away_is_unavailable(mesh: Mesh, channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as away:
        channel.unary_unary("/ai2text.embeddings.v1.EmbeddingService/Embed")(
            b"", metadata=[mesh.authorization()], timeout=10
        )
    status = rpc_status.from_call(away.value)
    assert (status.code, status.message) == (code_pb2.UNAVAILABLE, AWAY)
    retry = error_details_pb2.RetryInfo()
    assert status.details[1].Unpack(retry)
    assert retry.retry_delay.seconds == 1


def test_an_unknown_method_is_unimplemented(mesh: Mesh, channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as unknown:
        channel.unary_unary("/nowhere.v1.Service/Call")(b"", metadata=[mesh.authorization()], timeout=10)
    assert unknown.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_json_search(mesh: Mesh) -> None:
    answer = mesh.post("/v1/search", json={"query": "xin chào", "limit": 3}, headers=mesh.headers())
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"hits": [{"segmentId": "xin chào", "startMs": "1500"}]}


def test_json_search_by_query_string(mesh: Mesh) -> None:
    url = f"http://{mesh.address}/v1/search"
    answer = httpx.get(url, params={"query": "xin chào"}, headers=mesh.headers(), timeout=10)
    assert answer.json()["hits"][0]["segmentId"] == "xin chào"
    refused = httpx.get(url, params={"query": "a", "limitt": "1"}, headers=mesh.headers(), timeout=10)
    assert refused.status_code == 400


def test_json_search_with_a_filter(mesh: Mesh) -> None:
    narrowed = {"labels": {"team": "a"}, "recordedAfter": "2026-11-01T00:00:00Z", "startMs": "5"}
    answer = mesh.post("/v1/search", json={"query": "x", "filter": narrowed}, headers=mesh.headers())
    assert answer.json()["hits"][0]["recordingId"] == "{'team': 'a'} 2026-11-01T00:00:00Z 5"
    url = f"http://{mesh.address}/v1/search"
    given = {"query": "x", "filter.recorded_after": "2026-11-01T00:00:00Z", "filter.startMs": "5"}
    answer = httpx.get(url, params=given, headers=mesh.headers(), timeout=10)
    assert answer.json()["hits"][0]["recordingId"] == "{} 2026-11-01T00:00:00Z 5"


def test_json_batch_search(mesh: Mesh) -> None:
    body = {"requests": [{"query": "một"}, {"query": "hai"}]}
    answer = mesh.post("/v1/search:batch", json=body, headers=mesh.headers())
    assert [one["hits"][0]["segmentId"] for one in answer.json()["responses"]] == ["một", "hai"]


def test_json_of_the_index(mesh: Mesh) -> None:
    answer = httpx.get(f"http://{mesh.address}/v1/searchIndex", headers=mesh.headers(), timeout=10)
    assert answer.json() == {"stats": {"documents": "7"}}
    body = {"segmentIds": ["a", "b"]}
    answer = mesh.post("/v1/searchIndex/documents:delete", json=body, headers=mesh.headers())
    assert answer.json() == {"deletedCount": 2}
    assert mesh.post("/v1/searchIndex/documents:delete", json=body).status_code == 401


def test_json_of_a_server_stream(mesh: Mesh) -> None:
    url = f"http://{mesh.address}/v1/recordings/r1:export"
    answer = httpx.get(url, params={"format": "EXPORT_FORMAT_SRT"}, headers=mesh.headers(), timeout=10)
    assert "".join(piece["text"] for piece in answer.json()) == "1\n00:00 xin chào\n"
    first = httpx.get(url, params={"format": "EXPORT_FORMAT_SRT", "channel": 0}, headers=mesh.headers(), timeout=10)
    assert "kênh 0" in first.text, "which is not the same as all of them"


@pytest.mark.parametrize("body", [None, {}])
def test_json_of_a_download_needs_no_body_and_gives_the_address_as_it_is(
    mesh: Mesh, body: dict[str, str] | None
) -> None:
    answer = mesh.post("/v1/recordings/r1:download", json=body, headers=mesh.headers())
    assert answer.json() == {"url": "https://files/r1?a=b&c=d%2F"}
    assert mesh.post("/v1/recordings/r1:download", json=body).status_code == 401


def test_json_takes_32_mib_of_audio(mesh: Mesh) -> None:
    body = {"audio": base64.b64encode(bytes(32 << 20)).decode()}
    answer = httpx.post(f"http://{mesh.address}/v1/speech:recognize", json=body, headers=mesh.headers(), timeout=60)
    assert answer.json() == {"durationMs": str(32 << 20)}


def test_json_errors_are_the_servers_status(mesh: Mesh) -> None:
    answer = mesh.post("/v1/search", json={"query": "broken"}, headers=mesh.headers())
    assert answer.status_code == 400
    status = answer.json()
    assert (status["code"], status["message"]) == (3, "no such query")
    assert status["details"][0]["reason"] == "ERROR_REASON_FIELD_INVALID"


@pytest.mark.parametrize(
    ("path", "with_token", "http", "code"),
    [("/v1/search", False, 401, 16), ("/v1/nothing", True, 404, 5), ("/v1/embeddings:embed", True, 503, 14)],
)
def test_json_errors_of_the_edge(mesh: Mesh, path: str, with_token: bool, http: int, code: int) -> None:
    answer = mesh.post(path, json={}, headers=mesh.headers() if with_token else {})
    assert answer.status_code == http
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["code"] == code
    assert answer.json()["message"]


def test_json_of_a_server_that_is_away(mesh: Mesh) -> None:
    answer = mesh.post("/v1/embeddings:embed", json={}, headers=mesh.headers())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    reasons = [detail.get("reason", detail.get("retryDelay")) for detail in answer.json()["details"]]
    assert reasons == ["ERROR_REASON_DEPENDENCY_UNAVAILABLE", "1s"]


def test_json_that_is_no_json_is_refused(mesh: Mesh) -> None:
    answer = mesh.post("/v1/search", content=b"{", headers=mesh.headers() | {"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["code"] == 3


@pytest.mark.parametrize(
    ("verb", "content_type", "http", "code"),
    [
        ("POST", "application/json", 415, code_pb2.INVALID_ARGUMENT),
        ("POST", "text/plain", 415, code_pb2.INVALID_ARGUMENT),
        ("GET", "application/json", 404, code_pb2.NOT_FOUND),
    ],
)
def test_what_is_not_grpc_is_refused_and_nobody_is_said_to_be_away(
    mesh: Mesh, verb: str, content_type: str, http: int, code: int
) -> None:
    headers = mesh.headers() | {"content-type": content_type}
    url = f"http://{mesh.address}/ai2text.search.v1.SearchService/Search"
    answer = httpx.request(verb, url, content=b"{}", headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (http, code)


def test_headers_that_are_too_long_are_the_callers_fault(mesh: Mesh) -> None:
    headers = mesh.headers() | {"x-long": "a" * 70_000}
    answer = httpx.get(f"http://{mesh.address}/v1/search", params={"query": "a"}, headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (431, code_pb2.INVALID_ARGUMENT)


def test_grpc_that_is_not_posted_is_unimplemented(mesh: Mesh) -> None:
    headers = mesh.headers() | {"content-type": "application/grpc"}
    answer = httpx.get(f"http://{mesh.address}/ai2text.search.v1.SearchService/Search", headers=headers, timeout=10)
    assert answer.headers["grpc-status"] == str(code_pb2.UNIMPLEMENTED)


def _web_frames(body: bytes) -> tuple[list[bytes], dict[str, str]]:
    """The messages of a gRPC-web answer, and its trailers."""
    messages, trailers = [], {}
    while body:
        flag, size = struct.unpack(">BI", body[:5])
        frame, body = body[5 : 5 + size], body[5 + size :]
        if flag & 0x80:
            trailers = dict(line.split(":", 1) for line in frame.decode().strip().split("\r\n"))
        else:
            messages.append(frame)
    return messages, trailers


def _web(mesh: Mesh, path: str, message: bytes, **headers: str) -> httpx.Response:
    return mesh.post(
        path,
        content=struct.pack(">BI", 0, len(message)) + message,
        headers={"content-type": "application/grpc-web+proto", "x-grpc-web": "1", "origin": ORIGIN} | headers,
    )


def test_grpc_web_unary(mesh: Mesh) -> None:
    request = search_service_pb2.SearchRequest(query="xin chào").SerializeToString()
    answer = _web(mesh, "/ai2text.search.v1.SearchService/Search", request, **mesh.headers())
    messages, trailers = _web_frames(answer.content)
    assert search_service_pb2.SearchResponse.FromString(messages[0]).hits[0].segment_id == "xin chào"
    assert trailers["grpc-status"] == "0"
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_grpc_web_server_stream(mesh: Mesh) -> None:
    answer = _web(mesh, "/ai2text.metadata.v1.TranscriptService/ExportTranscript", b"", **mesh.headers())
    messages, trailers = _web_frames(answer.content)
    assert len(messages) == 3
    assert trailers["grpc-status"] == "0"


def test_grpc_web_without_a_token(mesh: Mesh) -> None:
    answer = _web(mesh, "/ai2text.search.v1.SearchService/Search", b"")
    assert (answer.status_code, answer.headers["grpc-status"]) == (200, "16")
    assert "grpc-status" in answer.headers["access-control-expose-headers"]


def test_the_connect_protocol_becomes_grpc(mesh: Mesh) -> None:
    request = search_service_pb2.SearchRequest(query="xin chào").SerializeToString()
    connect = {"content-type": "application/proto", "connect-protocol-version": "1"}
    path = "/ai2text.search.v1.SearchService/Search"
    answer = mesh.post(path, content=request, headers=mesh.headers() | connect)
    assert search_service_pb2.SearchResponse.FromString(answer.content).hits[0].segment_id == "xin chào"
    assert mesh.post(path, content=request, headers=connect).status_code == 401


@pytest.mark.parametrize(("origin", "allowed"), [(ORIGIN, True), ("https://evil.example", False)])
def test_preflight(mesh: Mesh, origin: str, allowed: bool) -> None:
    answer = httpx.options(
        f"http://{mesh.address}/ai2text.search.v1.SearchService/Search",
        headers={"origin": origin, "access-control-request-method": "POST"},
        timeout=5,
    )
    assert (answer.headers.get("access-control-allow-origin") == origin) is allowed


def test_too_many_requests_are_resource_exhausted(mesh: Mesh, tmp_path: Path) -> None:
    home, ports = Home.from_env({"AI2TEXT_HOME": str(mesh.keys.folder.parent)}), free_ports()
    narrow = Mesh(ports, mesh.keys, mesh.headers_seen)
    with running(tmp_path, replace(_edge(home, ports, mesh.ports.edge), max_requests_per_second=1)):
        web = [_web(narrow, "/ai2text.search.v1.SearchService/Search", b"").headers["grpc-status"] for _ in range(3)]
        json_codes = {narrow.post("/v1/search", json={}).json()["code"] for _ in range(3)}
    assert "8" in web
    assert 8 in json_codes


def test_healthz_needs_no_token(mesh: Mesh) -> None:
    assert httpx.get(f"http://{mesh.address}/healthz", timeout=5).status_code == 200


def test_a_clients_trace_goes_on(mesh: Mesh, channel: grpc.Channel) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    _search(channel, "xin chào", mesh.authorization(), ("traceparent", f"00-{trace}-b7ad6b7169203331-01"))
    assert str(mesh.headers_seen.last("Search")["traceparent"]).split("-")[1] == trace


def test_the_access_log_says_who_called_what(mesh: Mesh) -> None:
    mesh.post("/v1/search", json={"query": "một câu"}, headers=mesh.headers())
    log = mesh.keys.folder.parent / "envoy.log"
    deadline = time.monotonic() + 15  # Envoy writes its log in batches
    while time.monotonic() < deadline:
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        calls = [line for line in lines if line["path"] == "/v1/search" and line["code"] == 200]
        if calls:
            break
        time.sleep(0.5)
    assert calls[-1]["tenant"] == "acme"
    assert calls[-1]["rpc"] == "/ai2text.search.v1.SearchService/Search"
    assert len(calls[-1]["trace_id"]) == 32


def test_the_access_log_does_not_say_what_people_look_for(mesh: Mesh) -> None:
    for headers, code in ((mesh.headers(), 200), ({}, 401)):
        assert httpx.get(f"http://{mesh.address}/v1/search?query=riêng+tư", headers=headers).status_code == code
    log = mesh.keys.folder.parent / "envoy.log"
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        calls = [line for line in lines if line["path"] == "/v1/search" and not line["received_bytes"]]
        if {200, 401} <= {line["code"] for line in calls}:
            break
        time.sleep(0.5)
    assert {200, 401} <= {line["code"] for line in calls}, lines[-4:]
    assert not any("query" in str(line) for line in calls)
