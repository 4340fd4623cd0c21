"""The fuzz run: what it draws, what it calls a fault, and that it finds one and makes it small."""

import base64
import gc
import random
from collections.abc import Iterator
from concurrent import futures
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from ai2text.admin.v1 import dead_letter_service_pb2 as dead
from ai2text.metadata.v1 import recording_service_pb2
from ai2text.search.v1 import search_service_pb2, search_service_pb2_grpc
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.fuzz import requests, values
from bench.fuzz.calls import Headers, Reaction, Sender, of_http
from bench.fuzz.cases import Body, Case, Http, Rpc, cases, harmless
from bench.fuzz.methods import Method, public
from bench.fuzz.rounds import ROUND, Fuzzing, Round, Tally, rounds, shares
from bench.fuzz.verdict import fault
from bench.fuzz.watch import Watch, complains
from mesh.home import Home

METHODS = {method.name: method for method in public()}
SEARCH, WATCH = METHODS["SearchService.Search"], METHODS["LiveSessionService.WatchSession"]
GOOD, HINTS = requests.good(), requests.hints()
CALL = Rpc("good", [])
DENIED = (
    b'{"error":{"message":"no","details":[{"type":"type.googleapis.com/google.rpc.ErrorInfo",'
    b'"value":"ChpFUlJPUl9SRUFTT05fU0NPUEVfTUlTU0lORxIHYWkydGV4dA"}],"code":"permission_denied"}}'
)
DRAWN = settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def test_every_rpc_has_a_request_in_order() -> None:
    assert set(GOOD) == set(METHODS)
    for name, messages in GOOD.items():
        assert {message.DESCRIPTOR.full_name for message in messages} == {METHODS[name].descriptor.input_type.full_name}
        assert len(messages) == 1 or METHODS[name].streams


def test_every_hint_is_for_a_field_of_the_contract() -> None:
    named: set[str] = set()

    def collect(kind: Any) -> None:
        for field in kind.fields:
            named.add(field.name)
            if field.message_type is not None:
                collect(field.message_type)

    for method in METHODS.values():
        collect(method.descriptor.input_type)
    assert set(HINTS) <= named


@given(
    st.sampled_from(list(METHODS.values())).flatmap(
        lambda method: values.message(method.descriptor.input_type, HINTS, GOOD[method.name][0])
    )
)
@DRAWN
def test_every_message_that_is_drawn_goes_on_the_wire_and_comes_back(message: Message) -> None:
    again = type(message).FromString(Body(message).on_the_wire({}))
    assert again.SerializeToString(deterministic=True) == message.SerializeToString(deterministic=True)


@given(
    st.sampled_from(list(METHODS.values())).flatmap(
        lambda method: st.tuples(st.just(method), cases(method, GOOD[method.name], HINTS))
    )
)
@DRAWN
def test_every_case_can_be_told(drawn: tuple[Method, Case]) -> None:
    method, case = drawn
    assert case.token in str(case)
    if isinstance(case, Rpc):
        assert len(case.bodies) <= 8
        assert method.streams or len(case.bodies) == 1


def test_a_long_list_of_large_messages_stays_within_its_bound() -> None:
    large = search_service_pb2.SearchRequest(query="x" * 1_000_000)
    assert len(values._copies(large, 1500)) == values.MOST_BYTES // large.ByteSize() == 8
    assert len(values._copies(search_service_pb2.SearchRequest(query="x"), 1500)) == 1500
    assert len(values._copies(search_service_pb2.SearchRequest(), 1500)) == 1500
    assert values._copies("x" * 1_000_000, 300) == ["x" * 1_000_000] * 300


def test_names_stand_for_what_is_there() -> None:
    segments = requests.segments("<transcript>")
    listed = recording_service_pb2.FindObjectsRequest(keys=["<key>", "<keys>"])
    names: values.Names = {"<transcript>": "t1", "<key>": lambda: "k1"}
    assert values.replaced(segments, names) == requests.segments("t1")
    assert list(values.replaced(listed, names).keys) == ["k1", "<keys>"]  # type: ignore[attr-defined]
    assert segments.transcript_id == "<transcript>"


@pytest.mark.parametrize(
    ("selection", "tenant"),
    [
        (dead.DeadLetterSelection(), "ours"),
        (dead.DeadLetterSelection(subject="x"), "ours"),
        (dead.DeadLetterSelection(tenant="theirs"), "theirs"),
        (None, ""),
    ],
)
def test_dead_letters_of_others_are_left_alone(selection: dead.DeadLetterSelection | None, tenant: str) -> None:
    sent = dead.DiscardDeadLettersRequest(selection=selection).SerializeToString()
    made = dead.DiscardDeadLettersRequest.FromString(
        harmless(METHODS["DeadLetterService.DiscardDeadLetters"], sent, "ours")
    )
    assert made.HasField("selection") is (selection is not None)
    assert made.selection.tenant == tenant


@pytest.mark.parametrize(
    ("method", "case", "reaction", "wrong"),
    [
        (SEARCH, CALL, Reaction("OK"), ""),
        (SEARCH, CALL, Reaction("INVALID_ARGUMENT", "FIELD_INVALID"), ""),
        (SEARCH, CALL, Reaction("INVALID_ARGUMENT"), "without a reason of the contract"),
        (SEARCH, CALL, Reaction("INVALID_ARGUMENT", "MADE_UP"), "without a reason of the contract"),
        (SEARCH, CALL, Reaction("INVALID_ARGUMENT", of_the_edge=True), ""),
        (SEARCH, CALL, Reaction("INTERNAL", "INTERNAL"), "answered INTERNAL"),
        (SEARCH, CALL, Reaction("UNKNOWN"), "answered UNKNOWN"),
        (SEARCH, CALL, Reaction("UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", retry_s=1), "answered UNAVAILABLE"),
        (SEARCH, CALL, Reaction("RESOURCE_EXHAUSTED", "OVERLOADED", retry_s=1), ""),
        (SEARCH, CALL, Reaction("RESOURCE_EXHAUSTED", message="Received message larger than max (9 vs. 8)"), ""),
        (SEARCH, CALL, Reaction("RESOURCE_EXHAUSTED", message="of what?"), "without a reason"),
        (SEARCH, CALL, Reaction("UNIMPLEMENTED"), "without a reason"),
        (SEARCH, CALL, Reaction("DEADLINE_EXCEEDED", of_the_edge=True), "no answer in time"),
        (WATCH, CALL, Reaction("DEADLINE_EXCEEDED", of_the_edge=True), ""),
        (SEARCH, CALL, Reaction("CANCELLED", left=True), ""),
        (SEARCH, CALL, Reaction("CANCELLED"), "without a reason"),
        (SEARCH, Rpc("none", []), Reaction("UNAUTHENTICATED", of_the_edge=True), ""),
        (SEARCH, Rpc("none", []), Reaction("INVALID_ARGUMENT", of_the_edge=True), ""),
        (SEARCH, Rpc("none", []), Reaction("INVALID_ARGUMENT", "FIELD_INVALID"), "nobody knows"),
        (SEARCH, Rpc("expired", []), Reaction("OK"), "nobody knows"),
        (SEARCH, Rpc("forged", []), Reaction("NOT_FOUND", "RECORDING_NOT_FOUND"), "nobody knows"),
        (SEARCH, Rpc("powerless", []), Reaction("OK"), "without the scope"),
        (SEARCH, Http("good", "post", "/", b""), Reaction("HTTP 500", of_the_edge=True), "answered HTTP 500"),
        (SEARCH, Http("good", "post", "/", b""), Reaction("HTTP 404", of_the_edge=True), ""),
    ],
)
def test_what_is_a_fault(method: Method, case: Case, reaction: Reaction, wrong: str) -> None:
    found = fault(method, case, reaction)
    assert (wrong in found) if wrong else (found == "")


def answer(http: int, json: Any = None, text: str = "", **headers: str) -> Reaction:
    """The reaction that an HTTP answer is."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    content = {"json": json} if json is not None else {"text": text}
    return of_http(httpx.Response(http, headers=given, **content))  # type: ignore[arg-type]


def test_reactions_of_http() -> None:
    upstream = {"x_envoy_upstream_service_time": "3"}
    info = {"reason": "ERROR_REASON_OVERLOADED", "domain": "ai2text"}
    refused = {"code": 8, "message": "full", "details": [info, {"retryDelay": "1.5s"}]}
    assert answer(200, {}, **upstream) == Reaction("OK")
    assert answer(429, refused, **upstream) == Reaction("RESOURCE_EXHAUSTED", "OVERLOADED", "full", retry_s=1.5)
    assert answer(404, {"code": 5, "message": "no"}) == Reaction("NOT_FOUND", message="no", of_the_edge=True)
    assert answer(502, text="<html>").code == "HTTP 502"
    assert answer(401, text="Jwt is missing").code == "UNAUTHENTICATED"
    assert answer(200, grpc_status="12", grpc_message="what?") == Reaction(
        "UNIMPLEMENTED", message="what?", of_the_edge=True
    )


@pytest.mark.parametrize("text", [False, True])
def test_reactions_of_grpc_web_are_in_their_last_frame(text: bool) -> None:
    trailers = b"grpc-status:3\r\ngrpc-message:no\r\n"
    body = b"\0\0\0\0\1x" + b"\x80" + len(trailers).to_bytes(4, "big") + trailers
    kind = f"application/grpc-web{'-text' if text else ''}+proto"
    content = base64.b64encode(body) if text else body
    reaction = of_http(httpx.Response(200, headers={"content-type": kind}, content=content))
    assert (reaction.code, reaction.message) == ("INVALID_ARGUMENT", "no")


@pytest.mark.parametrize(("end", "code", "reason"), [(b"{}", "OK", ""), (DENIED, "PERMISSION_DENIED", "SCOPE_MISSING")])
def test_reactions_of_connect_are_in_its_last_frame(end: bytes, code: str, reason: str) -> None:
    content = b"\0\0\0\0\1x" + b"\2" + len(end).to_bytes(4, "big") + end
    answered = httpx.Response(200, headers={"content-type": "application/connect+proto"}, content=content)
    assert (of_http(answered).code, of_http(answered).reason) == (code, reason)


def test_reasons_of_grpc_are_in_its_headers() -> None:
    status = status_pb2.Status(code=3)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="ERROR_REASON_FIELD_INVALID", domain="ai2text"))
    packed = base64.b64encode(status.SerializeToString()).decode().rstrip("=")
    assert answer(200, grpc_status="3", grpc_status_details_bin=packed).reason == "FIELD_INVALID"


@pytest.mark.parametrize(
    ("part", "line", "complaint"),
    [
        ("nlp", '{"level": "info", "event": "call refused", "message": "Traceback (most recent call last)"}', False),
        ("nlp", '{"level": "warning", "event": "dependencies"}', False),
        ("nlp", '{"level": "error", "event": "call failed"}', True),
        ("nlp", '{"level": "warning", "event": "job", "exception": []}', True),
        ("nlp", "Traceback (most recent call last):", True),
        ("triton", 'E1126 01:02:03.4 88 backend.cc:7] "failed"', True),
        ("objects", "E1126 02:47:27.213788 upload_chunked.go:281 chunked upload failed: unexpected EOF", False),
        ("objects", "panic: runtime error: index out of range", True),
        ("envoy", "[2026-11-26 01:25:29.670][3200][critical][main] assert failure", True),
        ("envoy", '{"path":"/x","code":200}', False),
        ("triton", "I1126 01:26:17.022541 started", False),
    ],
)
def test_what_in_a_log_is_a_complaint(part: str, line: str, complaint: bool) -> None:
    assert complains(part, line) is complaint


def test_cases_are_shared_out_to_the_last() -> None:
    given_out = shares(300, list(METHODS.values()))
    assert sum(given_out) == 300
    assert max(given_out) - min(given_out) <= 1
    assert rounds(2 * ROUND + 3) == [ROUND, ROUND, 3]
    assert rounds(0) == []


class Fragile(search_service_pb2_grpc.SearchServiceServicer):
    """Falls over a long list of recordings."""

    def Search(self, request: Any, context: Any) -> search_service_pb2.SearchResponse:
        if len(request.recording_ids) > 2:
            context.abort(grpc.StatusCode.UNKNOWN, "three")
        return search_service_pb2.SearchResponse()


@contextmanager
def sender() -> Iterator[Sender]:
    """To a fragile server, without an edge."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    search_service_pb2_grpc.add_SearchServiceServicer_to_server(Fragile(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    nobody: dict[str, Headers] = dict.fromkeys(("good", "stranger", "odd", "powerless"), ())
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, httpx.Client() as http:
            yield Sender(channel, http, nobody, {"<recording>": "r1"}, (), "ours")
    finally:
        server.stop(None).wait()


def test_a_failing_request_is_found_made_small_and_its_method_left() -> None:
    sent: list[Case] = []
    with sender() as to:

        def send(method: Method, case: Case) -> Reaction:
            sent.append(case)
            if not isinstance(case, Rpc) or case.token in ("none", "expired", "forged", "powerless") or case.cancels:
                return Reaction("OK", left=True)
            if any(body.cut is not None or body.tail for body in case.bodies):
                return Reaction("OK", left=True)
            return to.send(method, case)

        fuzzing = Fuzzing(send, lambda: None, list)
        (tally,) = fuzzing.run([SEARCH], 2000, 7, lambda _: None)
    (finding,) = tally.findings
    assert finding.why.startswith("answered UNKNOWN")
    assert finding.again
    assert tally.codes["UNKNOWN"]
    assert "query" in finding.case  # what is good stays as it was
    assert finding.case.count("recording_ids") == 3 or "times)" in finding.case  # one text many times is as simple
    assert "limit" not in finding.case
    assert "language_code" not in finding.case
    assert tally.cases == len(sent) < 2000


def test_a_failure_that_does_not_come_again_is_told_all_the_same() -> None:
    once = iter([Reaction("INTERNAL")])
    tally = Tally(SEARCH)
    Round(tally, GOOD[SEARCH.name], HINTS, lambda _method, _case: next(once, Reaction("OK", left=True))).run(20, 1)
    (finding,) = tally.findings
    assert not finding.again
    assert "not each time" in str(finding)


def test_what_else_was_seen_is_a_finding_of_the_method() -> None:
    seen = iter([["asr-1 was restarted"]])
    fuzzing = Fuzzing(lambda _method, _case: Reaction("OK", left=True), lambda: None, lambda: next(seen, []))
    first, second = fuzzing.run([SEARCH, WATCH], 20, 1, lambda _: None)
    assert [finding.why for finding in first.findings] == ["asr-1 was restarted"]
    assert second.findings == []
    assert (first.cases, second.cases) == (10, 10)


def test_a_seed_draws_the_same_cases_again() -> None:
    def drawn(number: int) -> list[str]:
        sent: list[str] = []

        def send(_method: Method, case: Case) -> Reaction:
            sent.append(str(case))
            return Reaction("OK", left=True)

        Round(Tally(SEARCH), GOOD[SEARCH.name], HINTS, send).run(20, number)
        return sent

    random.seed(1)
    first = drawn(5)
    random.seed(2)
    assert drawn(5) == first
    assert drawn(6) != first
    assert len(set(first)) > 10


def test_messages_differ_in_every_kind_of_field() -> None:
    kinds: set[int] = set()

    @given(values.message(METHODS["RecordingService.CreateRecording"].descriptor.input_type, HINTS))
    @DRAWN
    def draw(made: Message) -> None:
        kinds.update(field.type for field, _ in made.ListFields())

    draw()
    assert {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_ENUM} <= kinds


def test_the_watch_tells_what_is_new_in_a_log_and_lets_it_go(tmp_path: Path) -> None:
    log = tmp_path / "asr-1.log"
    log.write_text('{"level": "error", "event": "before"}\n')
    with closing(Watch(Home(tmp_path, tmp_path / "models"), {"asr-1": log})) as watch:
        with log.open("a") as file:
            file.write('{"level": "error", "event": "now"}\n{"level": "info", "event": "calm"}\n')
        assert watch.complaints() == ['asr-1: {"level": "error", "event": "now"}']
        assert watch.complaints() == []
    del watch
    gc.collect()  # a file that is still open would warn, and a warning fails the test
