"""What the run of the faults calls a failure."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc
import pytest
from ai2text.events.v1.transcript_events_pb2 import SegmentContent, TranscriptFinalized
from google.longrunning import operations_pb2
from google.rpc import status_pb2

from bench import census, faults
from bench.census import Census
from bench.faults import Line, Uploads

GOOD = Census(frozenset({"r"}), {"r": ["t"]}, frozenset({"s"}), ["s"], ["s"], ["s"], 1, [])
SENT = Uploads({"r": "operations/r"})
NOBODY: Any = None
LINE = Line(NOBODY, (), "acme")


def test_a_run_in_which_all_is_well_has_no_faults() -> None:
    assert faults.faults(SENT, GOOD, SENT, GOOD) == []


@pytest.mark.parametrize(
    ("first", "again", "second", "said"),
    [
        (replace(SENT, undone=["operations/r: too long"]), SENT, GOOD, "not done: operations/r: too long"),
        (SENT, replace(SENT, undone=["operations/r: too long"]), GOOD, "not done: operations/r: too long"),
        (SENT, replace(SENT, failed=["a.wav: UNAVAILABLE"]), GOOD, "not uploaded again: a.wav: UNAVAILABLE"),
        (SENT, SENT, replace(GOOD, transcripts={"r": ["t", "u"]}), "transcripts: 1 became 2"),
        (SENT, SENT, replace(GOOD, transcripts={"r": ["u"]}), "there are other transcripts than before"),
    ],
)
def test_what_goes_wrong_in_either_round_is_a_fault(first: Uploads, again: Uploads, second: Census, said: str) -> None:
    assert faults.faults(first, GOOD, again, second) == [said]


def test_poison_among_the_events_is_not_counted() -> None:
    def event(tenant: str, segment_id: str) -> bytes:
        segment = SegmentContent(segment_id=segment_id)
        return TranscriptFinalized(event_id="e", tenant=tenant, segment=segment).SerializeToString()

    payloads = [event("acme", "s1"), b"\xff not an event", event("rival", "s2"), event("acme", "s3")]
    assert census.told(TranscriptFinalized, payloads, "acme") == ["s1", "s3"]


def server(answer: Callable[[], Any]) -> Any:
    class Operations:
        async def GetOperation(self, request: Any, **_: Any) -> Any:
            return answer()

    return Operations()


def away() -> Any:
    raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), details="away")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda: operations_pb2.Operation(done=True), ""),
        (lambda: operations_pb2.Operation(done=True, error=status_pb2.Status(code=3, message="no sound")), "no sound"),
        (lambda: operations_pb2.Operation(done=True, error=status_pb2.Status(code=3)), "error 3"),
        (lambda: operations_pb2.Operation(), "still in work after 15 minutes"),
        (away, "UNAVAILABLE away after 15 minutes"),
    ],
)
async def test_an_operation_that_ends_in_an_error_or_not_at_all_is_not_done(
    answer: Callable[[], Any], why: str
) -> None:
    assert await faults.not_done(server(answer), LINE, "operations/r", until=0.0) == why
