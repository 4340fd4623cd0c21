"""How a live stream looks: on a terminal, in a file or a pipe, and to a script."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any, Protocol

from ai2text.asr.v1 import result_pb2
from rich.console import Console
from rich.live import Live
from rich.text import Text

from clients.cli import finals
from clients.cli.stream import Heard, Show
from clients.cli.times import precise


class Captions(Protocol):
    """Shows a stream while it runs."""

    def shown(self) -> contextlib.AbstractContextManager[Show]:
        """Within the block every answer given to the function is shown."""
        ...


def final_line(final: result_pb2.FinalResult, latency_ms: int | None) -> Text:
    """One settled utterance: when it was said, what, in which language, and how late the text was."""
    late = "" if latency_ms is None else f"{latency_ms} ms"
    return Text.assemble(
        (f"{precise(final.start_ms):>8} – {precise(final.end_ms):<8} ", "cyan"),
        final.text,
        (f"  {' · '.join(part for part in (final.language_code, late) if part)}", "dim"),
    )


def partial_line(partial: result_pb2.PartialResult) -> Text:
    """The utterance so far: what will hardly change in normal print, the rest dim."""
    return Text.assemble(
        (f"{precise(partial.start_ms):>8} – …        ", "cyan dim"), partial.stable_text, (partial.unstable_text, "dim")
    )


class TerminalCaptions:
    """Partials are redrawn in place on the last line; finals stay above it."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextlib.contextmanager
    def shown(self) -> Iterator[Show]:
        """See Captions."""
        with Live(_listening(), console=self._console, auto_refresh=False, transient=True) as live:
            yield lambda heard: self._show(live, heard)

    def _show(self, live: Live, heard: Heard) -> None:
        match heard.response.WhichOneof("event"):
            case "partial":
                live.update(partial_line(heard.response.partial), refresh=True)
            case "final":
                live.update(_listening(), refresh=True)
                live.console.print(final_line(heard.response.final, heard.latency_ms))


class PlainCaptions:
    """A line for each final, never wrapped: for pipes and files. Partials, if wanted, get lines of their own."""

    def __init__(self, console: Console, partials: bool = False) -> None:
        self._console = console
        self._partials = partials

    @contextlib.contextmanager
    def shown(self) -> Iterator[Show]:
        """See Captions."""
        yield self._show

    def _show(self, heard: Heard) -> None:
        match heard.response.WhichOneof("event"):
            case "partial" if self._partials:
                line = partial_line(heard.response.partial).append(f"  {heard.latency_ms} ms", "dim")
                self._console.print(line, soft_wrap=True)
            case "final":
                self._console.print(final_line(heard.response.final, heard.latency_ms), soft_wrap=True)


class JsonCaptions:
    """One JSON object a line for every answer, flushed at once."""

    @contextlib.contextmanager
    def shown(self) -> Iterator[Show]:
        """See Captions."""
        yield lambda heard: print(json.dumps(event_record(heard), ensure_ascii=False), flush=True)


def event_record(heard: Heard) -> dict[str, Any]:
    """An answer as a script reads it: always type, text, start_ms, end_ms and latency_ms, null where it has none."""
    response = heard.response
    kind = response.WhichOneof("event")
    base: dict[str, Any] = {"text": None, "start_ms": None, "end_ms": None, "latency_ms": heard.latency_ms}
    match kind:
        case "session_started":
            session = response.session_started
            return _of_type("session", base) | {
                "session_id": session.session_id,
                "recording_id": session.recording_id,
                "transcript_id": session.transcript_id,
            }
        case "speech_started":
            return _of_type(kind, base) | {"start_ms": response.speech_started.start_ms}
        case "speech_ended":
            return _of_type(kind, base) | {"end_ms": response.speech_ended.end_ms}
        case "partial":
            return _of_type(kind, base) | _partial_record(response.partial)
        case "final":
            return _of_type(kind, base) | finals.record(response.final)
    return _of_type(kind or "cursors", base)


def _of_type(kind: str, base: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, **base}


def _partial_record(partial: result_pb2.PartialResult) -> dict[str, Any]:
    return {
        "text": partial.stable_text + partial.unstable_text,
        "start_ms": partial.start_ms,
        "end_ms": partial.end_ms,
        "stable_text": partial.stable_text,
        "language_code": partial.language_code,
    }


def _listening() -> Text:
    return Text("… listening", style="dim")
