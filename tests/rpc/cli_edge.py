"""An edge for the tests of the command: real gRPC on a real port, with small hand-written servers behind it."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from ai2text.asr.v1 import speech_service_pb2_grpc
from ai2text.metadata.v1 import (
    media_pb2,
    recording_pb2,
    recording_service_pb2,
    recording_service_pb2_grpc,
    transcript_pb2,
    transcript_service_pb2,
    transcript_service_pb2_grpc,
)
from ai2text.search.v1 import hit_pb2, search_service_pb2, search_service_pb2_grpc
from google.rpc import code_pb2, error_details_pb2, status_pb2

from servers.common import errors
from tests.rpc.cli_speech import RECORDING_ID, Speech, abort

TOKEN = "a-token"


def environment(address: str, home: Path) -> dict[str, str]:
    """Of a shell whose user calls this edge, and has no mesh."""
    return {
        "AI2TEXT_ENDPOINT": address,
        "AI2TEXT_TOKEN": TOKEN,
        "AI2TEXT_HOME": str(home),
        "AI2TEXT_PORT_BASE": "8780",
        "AI2TEXT_OTLP_ENDPOINT": "",
        "USER": "lan",
    }


WORDS = {"half": "dở", "t1": "câu", "t0": "lời", "old": "cũ"}
"""What is said in each transcript: the newest, which is not complete; the newest of another channel; that of the first
which is complete; and an older one of that."""

OTHER_ID = "0299a5e0-0000-7000-8000-000000000002"


@dataclass
class Recordings(recording_service_pb2_grpc.RecordingServiceServicer):
    """Two recordings, one a page."""

    titles: dict[str, str] = field(default_factory=lambda: {RECORDING_ID: "Một", OTHER_ID: "Hai [b]"})
    asked: list[str] = field(default_factory=list)
    listed: list[Any] = field(default_factory=list)
    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    updates: list[Any] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    """Those that were made from files; the others were spoken live."""
    rivals: int = 0
    """How many updates fail because somebody else was faster."""

    def ListRecordings(self, request: Any, context: Any) -> Any:
        self.listed.append(request)
        at = int(request.page_token or 0)
        ids = list(self.titles)
        following = str(at + 1) if at + 1 < len(ids) else ""
        return recording_service_pb2.ListRecordingsResponse(
            recordings=[self._recording(ids[at])], next_page_token=following
        )

    def GetRecording(self, request: Any, context: Any) -> Any:
        self.asked.append(request.recording_id)
        if request.recording_id not in self.titles:
            abort(context, errors.RecordingNotFound("no such recording", recording_id=request.recording_id))
        return recording_service_pb2.GetRecordingResponse(recording=self._recording(request.recording_id))

    def _recording(self, recording_id: str) -> recording_pb2.Recording:
        return recording_pb2.Recording(
            recording_id=recording_id,
            title=self.titles[recording_id],
            source=recording_pb2.RECORDING_SOURCE_LIVE,
            object=media_pb2.StoredObject(key="k", size_bytes=1) if recording_id in self.files else None,
            language_code="vi",
            duration_ms=61_000,
            segment_count=2,
            labels=self.labels.get(recording_id),
            etag=f"v{len(self.updates)}",
        )

    def UpdateRecording(self, request: Any, context: Any) -> Any:
        given, paths = request.recording, list(request.update_mask.paths)
        self.updates.append(request)
        if self.rivals:
            self.rivals -= 1
            self.labels.setdefault(given.recording_id, {})[f"rival-{self.rivals}"] = "x"
            abort(context, errors.EtagMismatch("it has changed"))
        if "title" in paths:
            self.titles[given.recording_id] = given.title
        if "labels" in paths:
            self.labels[given.recording_id] = dict(given.labels)
        return recording_service_pb2.UpdateRecordingResponse(recording=self._recording(given.recording_id))

    def DeleteRecording(self, request: Any, context: Any) -> Any:
        del self.titles[request.recording_id]
        return recording_service_pb2.DeleteRecordingResponse()

    def FindObjects(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    def CreateRecording(self, request: Any, context: Any) -> Any:
        raise NotImplementedError


class Transcripts(transcript_service_pb2_grpc.TranscriptServiceServicer):
    """Three of each recording, of two segments each, on two pages."""

    def ListTranscripts(self, request: Any, context: Any) -> Any:
        transcripts = [
            transcript_pb2.Transcript(
                transcript_id=name, recording_id=request.recording_id, channel=channel, incomplete=name == "half"
            )
            for name, channel in (("half", 0), ("t1", 1), ("t0", 0), ("old", 0))
        ]
        return transcript_service_pb2.ListTranscriptsResponse(transcripts=transcripts)

    def ListSegments(self, request: Any, context: Any) -> Any:
        index = int(request.page_token or 0)
        segment = transcript_pb2.Segment(
            segment_id=f"s{index}",
            segment_index=index,
            text=f"{WORDS[request.transcript_id]} {index}",
            start_ms=index * 1000,
            end_ms=index * 1000 + 900,
        )
        return transcript_service_pb2.ListSegmentsResponse(segments=[segment], next_page_token="" if index else "1")

    def ExportTranscript(self, request: Any, context: Any) -> Iterator[Any]:
        said = f"câu của {request.channel}" if request.HasField("channel") else "câu 0"
        for piece in ("WEBVTT\n\n", "00:00:00.000 --> 00:00:00.900\n", f"{said}\n"):
            yield transcript_service_pb2.ExportTranscriptResponse(text=piece)

    def CreateTranscript(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    def AppendSegments(self, request: Any, context: Any) -> Any:
        raise NotImplementedError


@dataclass
class Search(search_service_pb2_grpc.SearchServiceServicer):
    """Finds the same three hits, two of them in one recording and one in a recording that is gone; of "many" there is
    one on each of two pages, and "two" is said at once in two channels of one recording."""

    rankings: tuple[Any, ...] = (hit_pb2.RANKING_SEMANTIC, hit_pb2.RANKING_LEXICAL)
    requests: list[search_service_pb2.SearchRequest] = field(default_factory=list)

    def Search(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        if request.query == "nothing":
            return search_service_pb2.SearchResponse(rankings=self.rankings)
        snippet = hit_pb2.Snippet(text="Xin chào Việt Nam", highlights=[hit_pb2.Highlight(start=4, end=8)])
        hits = [
            hit_pb2.Hit(
                recording_id=id_, segment_id=f"{n}", start_ms=62_000, end_ms=63_000, snippet=snippet, score=0.03
            )
            for n, id_ in enumerate((RECORDING_ID, RECORDING_ID, "gone"))
        ]
        answer = search_service_pb2.SearchResponse(rankings=self.rankings)
        if request.query == "many":
            answer.hits.append(hits[1 if request.page_token else 0])
            answer.next_page_token = "" if request.page_token else "t1"
        elif request.query == "two":
            for channel, hit in enumerate(hits[:2]):
                hit.transcript_id, hit.channel, hit.start_ms, hit.end_ms = f"t{channel}", channel, 1_000, 1_900
                answer.hits.append(hit)
        elif request.group_by_recording:
            answer.groups.add(recording_id=RECORDING_ID, score=0.03, hits=hits[:2])
            answer.groups.add(recording_id="gone", score=0.03, hits=hits[2:])
        else:
            answer.hits.extend(hits)
        if request.explain:
            answer.explanation.timings.total_us = 1_500
            for hit in answer.hits:
                hit.explanation.exact_words.append("chào")
        return answer


@dataclass
class Edge:
    """What the tests see of it."""

    port: int
    server: grpc.Server
    speech: Speech
    recordings: Recordings
    search: Search

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class TokenCheck(grpc.ServerInterceptor):
    """Refuses calls without the one token, as Envoy does: without details."""

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        if ("authorization", f"Bearer {TOKEN}") in tuple(details.invocation_metadata):
            return continuation(details)
        return self._refusing(continuation(details))

    @staticmethod
    def _refusing(handler: Any) -> Any:
        def refuse(_: Any, context: Any) -> Any:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "Jwt is missing")

        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(refuse)
        return grpc.unary_unary_rpc_method_handler(refuse)


def retry_status(code: int, message: str, seconds: int) -> status_pb2.Status:
    """A foreign status that carries RetryInfo and nothing else."""
    found = status_pb2.Status(code=code, message=message)
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.seconds = seconds
    found.details.add().Pack(retry)
    return found


@contextlib.contextmanager
def listening(*added: Callable[[grpc.Server], None]) -> Iterator[tuple[int, grpc.Server]]:
    """A server on a free port of 127.0.0.1, which knows the one token; each of `added` adds a servicer to it."""
    server = grpc.server(ThreadPoolExecutor(8), interceptors=[TokenCheck()])
    for add in added:
        add(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port, server
    finally:
        stopped: threading.Event = server.stop(None)
        stopped.wait(5)


@contextlib.contextmanager
def serving() -> Iterator[Edge]:
    """A fresh edge on a free port of 127.0.0.1."""
    speech, recordings, search = Speech(), Recordings(), Search()
    with listening(
        partial(speech_service_pb2_grpc.add_SpeechServiceServicer_to_server, speech),
        partial(recording_service_pb2_grpc.add_RecordingServiceServicer_to_server, recordings),
        partial(transcript_service_pb2_grpc.add_TranscriptServiceServicer_to_server, Transcripts()),
        partial(search_service_pb2_grpc.add_SearchServiceServicer_to_server, search),
    ) as (port, server):
        yield Edge(port, server, speech, recordings, search)


__all__ = [
    "OTHER_ID",
    "RECORDING_ID",
    "TOKEN",
    "Edge",
    "abort",
    "code_pb2",
    "environment",
    "listening",
    "retry_status",
    "serving",
]
