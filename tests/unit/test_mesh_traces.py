"""The trace collector over both of its doors, and what the reader makes of its files."""

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from mesh import traces
from mesh.collector import Collector, Intake, SpanFile, TraceService

TRACE = "0af7651916cd43dd8448eb211c80319c"


def batch(service: str, *spans: tuple[str, str, str, int, int]) -> trace_service_pb2.ExportTraceServiceRequest:
    """Spans given as (id, parent, name, start ms, duration ms)."""
    request = trace_service_pb2.ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    attribute = resource.resource.attributes.add(key="service.name")
    attribute.value.string_value = service
    scope = resource.scope_spans.add()
    for span_id, parent, name, start, duration in spans:
        scope.spans.add(
            trace_id=bytes.fromhex(TRACE),
            span_id=bytes.fromhex(span_id),
            parent_span_id=bytes.fromhex(parent),
            name=name,
            start_time_unix_nano=start * 1_000_000,
            end_time_unix_nano=(start + duration) * 1_000_000,
        )
    return request


A, B, C = "00" * 7 + "0a", "00" * 7 + "0b", "00" * 7 + "0c"


@pytest.fixture
async def collector(tmp_path: Path) -> AsyncIterator[Collector]:
    started = await Collector.start(SpanFile(tmp_path / "spans.jsonl"), "127.0.0.1", 0, 0)
    yield started
    await started.stop()


async def export(collector: Collector, request: trace_service_pb2.ExportTraceServiceRequest) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{collector.grpc_port}") as channel:
        await trace_service_pb2_grpc.TraceServiceStub(channel).Export(request, timeout=5)


async def post(collector: Collector, path: str, content: bytes, **headers: str) -> int:
    async with httpx.AsyncClient(timeout=5) as client:
        url = f"http://127.0.0.1:{collector.http_port}{path}"
        return (await client.post(url, content=content, headers=headers)).status_code


async def test_spans_of_both_protocols_form_one_trace(collector: Collector) -> None:
    await export(collector, batch("asr", (B, A, "Recognize", 5, 90)))
    await export(collector, batch("envoy", (A, "", "ingress", 0, 100)))
    body = batch("triton", (C, B, "infer", 10, 70)).SerializeToString()
    assert await post(collector, "/v1/traces", gzip.compress(body), **{"content-encoding": "gzip"}) == 200
    await collector.intake.queue.join()

    spans = traces.trace(collector.intake.file.all_paths(), TRACE)
    assert [(span.service, span.name, span.duration_ms) for span in spans] == [
        ("envoy", "ingress", 100.0),
        ("asr", "Recognize", 90.0),
        ("triton", "infer", 70.0),
    ]
    assert traces.tree(spans).splitlines()[2].endswith("    triton: infer")


async def test_a_line_is_otlp_json(collector: Collector) -> None:
    await export(collector, batch("asr", (B, A, "Recognize", 5, 90)))
    await collector.intake.queue.join()
    stored = json.loads(collector.intake.file.path.read_text())
    assert stored["traceId"] == TRACE
    assert (stored["spanId"], stored["parentSpanId"], stored["serviceName"]) == (B, A, "asr")
    assert stored["startTimeUnixNano"] == "5000000"


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [("/v1/traces", b"\xff\xff", 400), ("/v1/metrics", b"", 404), ("/healthz", b"", 404)],
)
async def test_what_is_no_trace_is_refused(collector: Collector, path: str, content: bytes, status: int) -> None:
    assert await post(collector, path, content) == status


async def test_json_with_ids_in_hex_as_triton_sends_it(collector: Collector) -> None:
    span = {"traceId": TRACE, "spanId": C, "parentSpanId": B, "name": "infer", "kind": 2, "startTimeUnixNano": "7"}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "triton"}}]}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {}, "spans": [span]}]}]}
    headers = {"content-type": "application/json"}
    assert await post(collector, "/v1/traces", json.dumps(body).encode(), **headers) == 200
    assert await post(collector, "/v1/traces", b'{"resourceSpans": 1}', **headers) == 400
    await collector.intake.queue.join()
    [stored] = traces.trace(collector.intake.file.all_paths(), TRACE)
    assert (stored.service, stored.span_id, stored.parent_id, stored.start_ns) == ("triton", C, B, 7)


async def test_a_broken_gzip_body_is_refused(collector: Collector) -> None:
    assert await post(collector, "/v1/traces", b"no gzip", **{"content-encoding": "gzip"}) == 400


async def test_a_full_queue_sends_exporters_away(tmp_path: Path) -> None:
    intake = Intake(SpanFile(tmp_path / "spans.jsonl"))
    while intake.offer(batch("asr")):
        pass
    server = grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(TraceService(intake), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await trace_service_pb2_grpc.TraceServiceStub(channel).Export(batch("asr"), timeout=5)
    await server.stop(0)
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_the_file_is_set_aside_when_it_is_full(tmp_path: Path) -> None:
    file = SpanFile(tmp_path / "spans.jsonl", limit=60, kept=2)
    for number in range(5):
        file.append(iter([{"traceId": TRACE, "spanId": f"{number:016x}", "pad": "x"}]))
    assert [path.name for path in file.all_paths()] == ["spans.2.jsonl", "spans.1.jsonl", "spans.jsonl"]
    assert [span.span_id[-1] for span in traces.read(file.all_paths())] == ["2", "3", "4"]


def test_a_line_cut_off_by_a_crash_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    path.write_text('{"traceId": "1", "name": "whole"}\n{"traceId": "1", "na{"traceId": "2"}\n{"tr', encoding="utf-8")
    assert [span.name for span in traces.read([path])] == ["whole"]


def test_the_last_trace_of_a_service(tmp_path: Path) -> None:
    file = SpanFile(tmp_path / "spans.jsonl")
    rows = [("a1", "asr", "5"), ("b2", "search", "9"), ("c3", "asr", "7")]
    file.append({"traceId": t, "serviceName": s, "startTimeUnixNano": n, "name": "call"} for t, s, n in rows)
    assert traces.last_trace_id(file.all_paths()) == "b2"
    assert traces.last_trace_id(file.all_paths(), service="asr") == "c3"
    assert traces.last_trace_id(file.all_paths(), service="nobody") is None
