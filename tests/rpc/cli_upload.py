"""An ingestion server for the tests of `ai2text upload`, and an object store that takes parts over HTTP."""

import contextlib
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from ai2text.ingestion.v1 import ingestion_service_pb2, ingestion_service_pb2_grpc
from ai2text.metadata.v1 import media_pb2, recording_pb2

from servers.common import errors
from servers.ingestion.files import operation, recording_id
from tests.rpc.cli_edge import TokenCheck
from tests.rpc.cli_speech import abort

PART_BYTES = 24 << 20


@dataclass
class Ingestion(ingestion_service_pb2_grpc.IngestionServiceServicer):
    """Keeps what comes; refuses first what `refusals` holds."""

    parts_at: str = ""
    refusals: list[Exception] = field(default_factory=list)
    files: dict[str, tuple[ingestion_service_pb2.UploadFile, bytes]] = field(default_factory=dict)
    parts: dict[int, bytes] = field(default_factory=dict)
    refused_parts: list[int] = field(default_factory=list)
    """Parts that the store answers with 503, once each."""
    puts: list[int] = field(default_factory=list)
    calls: int = 0
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def UploadRecording(self, request_iterator: Any, context: Any) -> Any:
        with self.lock:
            self.calls += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        messages = list(request_iterator)
        with self.lock:
            self.at_once -= 1
        self._maybe_refuse(context)
        file, content = messages[0].file, b"".join(message.chunk for message in messages[1:])
        self.files[file.request_id] = file, content
        return ingestion_service_pb2.UploadRecordingResponse(**self._stored(file, len(content)))

    def CreateUpload(self, request: Any, context: Any) -> Any:
        self.files[request.file.request_id] = request.file, b""
        count = -(-request.file.size_bytes // PART_BYTES)
        missing = [number for number in range(1, count + 1) if number not in self.parts]
        return ingestion_service_pb2.CreateUploadResponse(
            upload_id=request.file.request_id,
            part_count=count,
            parts=[
                ingestion_service_pb2.UploadPart(
                    part_number=number,
                    offset_bytes=(number - 1) * PART_BYTES,
                    size_bytes=min(PART_BYTES, request.file.size_bytes - (number - 1) * PART_BYTES),
                    url=f"{self.parts_at}/{number}",
                )
                for number in missing
            ],
        )

    def CompleteUpload(self, request: Any, context: Any) -> Any:
        self._maybe_refuse(context)
        file, _ = self.files[request.upload_id]
        content = b"".join(part for _, part in sorted(self.parts.items()))
        self.files[request.upload_id] = file, content
        return ingestion_service_pb2.CompleteUploadResponse(**self._stored(file, len(content)))

    def _maybe_refuse(self, context: Any) -> None:
        with self.lock:
            error = self.refusals.pop(0) if self.refusals else None
        if error is not None:
            assert isinstance(error, errors.Ai2TextError)
            abort(context, error)

    def _stored(self, file: ingestion_service_pb2.UploadFile, size: int) -> dict[str, Any]:
        name = recording_id("dev", file.request_id)
        recording = recording_pb2.Recording(
            recording_id=name,
            title=file.title,
            duration_ms=1000,
            object=media_pb2.StoredObject(size_bytes=size, crc32c=zlib.crc32(b"")),
        )
        return {"recording": recording, "operation": operation(name)}


@dataclass
class Edge:
    """What the tests see of it."""

    port: int
    ingestion: Ingestion

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def serving() -> Iterator[Edge]:
    """A fresh edge on a free port of 127.0.0.1."""
    ingestion = Ingestion()

    class Parts(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            number = int(self.path.strip("/"))
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if len(body) < int(self.headers["Content-Length"]):
                return  # the client has broken off
            with ingestion.lock:
                ingestion.puts.append(number)
                refused = number in ingestion.refused_parts
                if refused:
                    ingestion.refused_parts.remove(number)
                else:
                    ingestion.parts[number] = body
            self.send_response(503 if refused else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Parts)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    ingestion.parts_at = f"http://127.0.0.1:{http.server_port}"
    server = grpc.server(ThreadPoolExecutor(8), interceptors=[StreamTokenCheck()])
    ingestion_service_pb2_grpc.add_IngestionServiceServicer_to_server(ingestion, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield Edge(port, ingestion)
    finally:
        server.stop(None).wait(5)
        http.shutdown()
        http.server_close()
        thread.join(5)


class StreamTokenCheck(TokenCheck):
    """The same, for streams of a client that get one answer."""

    @staticmethod
    def _refusing(handler: Any) -> Any:
        def refuse(_: Any, context: Any) -> Any:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "Jwt is missing")

        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(refuse)
        return grpc.unary_unary_rpc_method_handler(refuse)
