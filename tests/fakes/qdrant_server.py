"""Qdrant's REST interface, as far as the search server uses it, over the local mode of its client. What is sent goes
through the client's own models of it, which refuse what they do not know."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import TypeAdapter
from qdrant_client import QdrantClient, models

_POINTS = TypeAdapter[Any](models.PointInsertOperations)
_SELECTOR = TypeAdapter[Any](models.PointsSelector)


class FakeQdrant:
    """What is kept, what was asked, and how it fails."""

    def __init__(self, client: QdrantClient) -> None:
        self.client = client
        self.asked = list[tuple[str, str, dict[str, Any], dict[str, list[str]]]]()
        """Method, path, body and parameters of each call."""

        self.broken: Callable[[str, str], int] = lambda method, path: 200
        """By method and path, which status to answer instead of doing it, unless 200."""

        self.url = ""
        self._lock = threading.Lock()

    def answer(self, method: str, path: str, body: dict[str, Any], given: dict[str, list[str]]) -> tuple[int, Any]:
        """Status and result."""
        with self._lock:
            self.asked.append((method, path, body, given))
            if (status := self.broken(method, path)) != 200:
                return status, None
            try:
                return self._done(method, path, body)
            except ValueError as error:
                return 404 if "not found" in str(error) else 400, None

    def _done(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        match = re.fullmatch(r"/collections/([^/]+)(/.*)?", path)
        assert match, path
        name, rest = match[1], match[2] or ""
        match method, rest:
            case "GET", "/exists":
                return 200, {"exists": self.client.collection_exists(name)}
            case "PUT", "":
                made = models.CreateCollection.model_validate(body)
                return 200, self.client.create_collection(name, vectors_config=made.vectors)
            case "PUT", "/index":
                models.CreateFieldIndex.model_validate(body)
                return 200, self._updated(name)
            case "PUT", "/points":
                points = _POINTS.validate_python(body)
                batch = points.batch if isinstance(points, models.PointsBatch) else points.points
                self.client.upsert(name, points=batch)
                return 200, self._updated(name)
            case "POST", "/points/delete":
                self.client.delete(name, points_selector=_SELECTOR.validate_python(body))
                return 200, self._updated(name)
            case "POST", "/points":
                wanted = models.PointRequest.model_validate(body)
                return 200, [one.model_dump(mode="json") for one in self.client.retrieve(name, ids=wanted.ids)]
            case "POST", "/points/query":
                query = models.QueryRequest.model_validate(body)
                found = self.client.query_points(
                    name, query=query.query, query_filter=query.filter, limit=query.limit or 10
                )
                return 200, found.model_dump(mode="json")
            case "POST", "/points/count":
                count = models.CountRequest.model_validate(body)
                return 200, {"count": self.client.count(name, count_filter=count.filter).count}
        raise AssertionError(f"{method} {path} is not used")

    def _updated(self, name: str) -> dict[str, Any]:
        self.client.get_collection(name)  # ValueError when there is none
        return {"operation_id": 1, "status": "completed"}


@contextmanager
def served(client: QdrantClient) -> Iterator[FakeQdrant]:
    """At `url` until the end of the block."""
    fake = FakeQdrant(client)

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            at = urlsplit(self.path)
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            status, result = fake.answer(self.command, at.path, body, parse_qs(at.query))
            content = json.dumps({"time": 0.0, "status": "ok" if status == 200 else {"error": "no"}, "result": result})
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content.encode())

        do_GET = do_PUT = do_POST = _answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_port}"
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        try:
            yield fake
        finally:
            server.shutdown()
            serving.join()
