"""Traces as the collector stored them: find one, put its spans in order, draw it as a tree."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NANOSECONDS_PER_MS = 1_000_000
STATUS_ERROR = 2


@dataclass(frozen=True)
class Span:
    """One span; `raw` is the object as it was stored."""

    raw: dict[str, Any]

    @property
    def trace_id(self) -> str:
        """32 hex digits."""
        return str(self.raw.get("traceId", ""))

    @property
    def span_id(self) -> str:
        """16 hex digits."""
        return str(self.raw.get("spanId", ""))

    @property
    def parent_id(self) -> str:
        """16 hex digits, or empty for a root."""
        return str(self.raw.get("parentSpanId", ""))

    @property
    def name(self) -> str:
        """What was done."""
        return str(self.raw.get("name", ""))

    @property
    def service(self) -> str:
        """Who did it."""
        return str(self.raw.get("serviceName", ""))

    @property
    def start_ns(self) -> int:
        """Nanoseconds since 1970."""
        return int(self.raw.get("startTimeUnixNano", 0))

    @property
    def duration_ms(self) -> float:
        """How long it took."""
        return (int(self.raw.get("endTimeUnixNano", self.start_ns)) - self.start_ns) / NANOSECONDS_PER_MS

    @property
    def failed(self) -> bool:
        """Whether its status says so."""
        return bool(self.raw.get("status", {}).get("code") == STATUS_ERROR)


def read(paths: Iterable[Path], containing: str = "") -> Iterator[Span]:
    """The spans of the files whose line contains the text; a line cut off by a crash is passed over."""
    for path in paths:
        with path.open(encoding="utf-8") as file:
            for line in file:
                if containing in line and (span := _parse(line)):
                    yield span


def _parse(line: str) -> Span | None:
    try:
        return Span(json.loads(line))
    except ValueError:
        return None


def trace(paths: Iterable[Path], trace_id: str) -> list[Span]:
    """The spans of one trace, each after its parent, siblings in order of time. Empty when there is none."""
    spans = [span for span in read(paths, trace_id) if span.trace_id == trace_id]
    return [span for span, _ in _ordered(spans)]


def last_trace_id(paths: Iterable[Path], service: str = "", name: str = "") -> str | None:
    """The trace of the latest span whose service is `service` and whose name contains `name`; None without any."""
    fitting = (span for span in read(paths) if service in ("", span.service) and name in span.name)
    latest = max(fitting, key=lambda span: span.start_ns, default=None)
    return latest.trace_id if latest else None


def tree(spans: list[Span]) -> str:
    """One line a span: offset from the start of the trace and duration in ms, service, name; children indented."""
    if not spans:
        return ""
    start = min(span.start_ns for span in spans)
    return "\n".join(_line(span, depth, start) for span, depth in _ordered(spans))


def _line(span: Span, depth: int, start_ns: int) -> str:
    offset = (span.start_ns - start_ns) / NANOSECONDS_PER_MS
    mark = "  FAILED" if span.failed else ""
    return f"{offset:>10.1f} ms {span.duration_ms:>10.1f} ms  {'  ' * depth}{span.service}: {span.name}{mark}"


def _ordered(spans: list[Span]) -> Iterator[tuple[Span, int]]:
    """Depth first from the roots; a span whose parent was never exported counts as a root."""
    known = {span.span_id for span in spans}
    children: dict[str, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: span.start_ns):
        children[span.parent_id if span.parent_id in known else ""].append(span)
    stack = [(span, 0) for span in reversed(children[""])]
    while stack:
        span, depth = stack.pop()
        yield span, depth
        stack.extend((child, depth + 1) for child in reversed(children[span.span_id]))
