"""An edge that gives addresses of files, and an object store behind them that can fail in every way that matters."""

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ai2text.ingestion.v1 import ingestion_service_pb2, ingestion_service_pb2_grpc
from ai2text.metadata.v1 import recording_service_pb2_grpc, transcript_service_pb2_grpc
from ai2text.search.v1 import search_service_pb2_grpc

from servers.common import errors
from tests.rpc.cli_edge import Recordings, Search, Transcripts, listening
from tests.rpc.cli_speech import RECORDING_ID, abort

EXPIRES_S = 1_900_000_000


@dataclass
class Store(ingestion_service_pb2_grpc.IngestionServiceServicer):
    """One file, of one recording."""

    content: bytes
    file_name: str = "Một.wav"
    at: str = ""
    given: int = 0
    """How many addresses were given; each is good for itself only."""
    refusals: list[errors.Ai2TextError] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    """After so many bytes the next answers break off."""
    statuses: list[int] = field(default_factory=list)
    """What the next requests are answered instead."""
    whole: bool = False
    """Whether it knows no ranges."""
    sent: bytes | None = None
    """What is sent in place of the content."""
    scheme: str = ""
    hold: threading.Event = field(default_factory=threading.Event)
    """Not set: an answer waits after its first half."""

    def __post_init__(self) -> None:
        self.hold.set()

    def CreateDownload(self, request: Any, context: Any) -> Any:
        if self.refusals:
            abort(context, self.refusals.pop(0))
        if request.recording_id != RECORDING_ID:
            abort(context, errors.RecordingNotFound("there is no such recording", recording_id=request.recording_id))
        self.given += 1
        answer = ingestion_service_pb2.CreateDownloadResponse(
            url=f"{self.scheme or self.at}/file?name=a%2Fb%20%22c%22&address={self.given}",
            content_type="audio/wav",
            file_name=self.file_name,
            size_bytes=len(self.content),
            sha256=hashlib.sha256(self.content).digest(),
        )
        answer.expire_time.seconds = EXPIRES_S
        return answer

    def answer(self, path: str, asked: str) -> tuple[int, bytes]:
        """Status and content."""
        self.ranges.append(asked)
        if self.statuses:
            return self.statuses.pop(0), b""
        if path != f"/file?name=a%2Fb%20%22c%22&address={self.given}":
            return 403, b""
        content = self.content if self.sent is None else self.sent
        if self.whole or not asked:
            return 200, content
        return 206, content[int(asked.removeprefix("bytes=").rstrip("-")) :]


@dataclass
class Edge:
    """What the tests see of it."""

    port: int
    store: Store
    recordings: Recordings
    search: Search

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def serving(content: bytes) -> Iterator[Edge]:
    """A fresh edge on a free port of 127.0.0.1."""
    store, recordings, search = Store(content), Recordings(files={RECORDING_ID}), Search()

    class Files(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = store.answer(self.path, self.headers.get("Range", ""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            cut = store.cuts.pop(0) if store.cuts and status < 300 else len(body)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(body[: cut // 2])
                self.wfile.flush()
                store.hold.wait(30)
                self.wfile.write(body[cut // 2 : cut])
            self.close_connection = cut < len(body)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    store.at = f"http://127.0.0.1:{http.server_port}"
    try:
        with listening(
            partial(ingestion_service_pb2_grpc.add_IngestionServiceServicer_to_server, store),
            partial(recording_service_pb2_grpc.add_RecordingServiceServicer_to_server, recordings),
            partial(transcript_service_pb2_grpc.add_TranscriptServiceServicer_to_server, Transcripts()),
            partial(search_service_pb2_grpc.add_SearchServiceServicer_to_server, search),
        ) as (port, _):
            yield Edge(port, store, recordings, search)
    finally:
        store.hold.set()
        http.shutdown()
        http.server_close()
        thread.join(5)
