"""How a live stream looks: on a terminal, in a file or a pipe, and to a script."""

import contextlib
import json
from collections.abc import Iterator
from typing import Protocol

from ai2text.asr.v1 import result_pb2, session_pb2
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from clients.cli import terminal
from clients.cli.events import event_record
from clients.cli.stream import Heard, Show
from clients.cli.times import precise


class Captions(Protocol):
    """Shows a stream while it runs."""

    def shown(self) -> contextlib.AbstractContextManager[Show]:
        """Within the block every answer given to the function is shown."""
        ...

    def note(self, line: str) -> None:
        """Shows a line that is not about what was said."""
        ...


def final_line(final: result_pb2.FinalResult, latency_ms: int | None, channels: int = 1) -> Text:
    """One settled utterance: when it was said, in which of several channels, what, in which language, how late."""
    late = "" if latency_ms is None else f"{latency_ms} ms"
    return Text.assemble(
        (f"{precise(final.start_ms):>8} – {precise(final.end_ms):<8} ", "cyan"),
        _channel(final.channel, channels),
        final.text,
        (f"  {' · '.join(part for part in (final.language_code, late) if part)}", "dim"),
    )


def partial_line(partial: result_pb2.PartialResult, channels: int = 1) -> Text:
    """The utterance so far: what will hardly change in normal print, the rest dim."""
    return Text.assemble(
        (f"{precise(partial.start_ms):>8} – …        ", "cyan dim"),
        _channel(partial.channel, channels),
        partial.stable_text,
        (partial.unstable_text, "" if partial.complete else "dim"),
    )


def refinement_line(refinement: result_pb2.RefinementResult, channels: int = 1) -> Text:
    """A better text of an utterance that stands above."""
    return Text.assemble(
        (f"{'better:':>19} ", "cyan dim"),
        _channel(refinement.channel, channels),
        refinement.text or "(it belongs to its neighbour)",
    )


def status_line(status: session_pb2.SessionStatus) -> str:
    """How the server stands; empty when there is nothing to say. How much credit there is changes all the time."""
    parts = []
    if status.HasField("closing_in"):
        parts.append(f"it closes in {status.closing_in.ToTimedelta().total_seconds():.1f} s")
    if status.HasField("partial_interval"):
        parts.append(f"partials after every {status.partial_interval.ToTimedelta().total_seconds():.1f} s of sound")
    if status.HasField("credit") and not status.credit.ToMilliseconds():
        parts.append("it takes no more sound for now")
    return f"server: {', '.join(parts)}" if parts else ""


class StatusLines:
    """Says how the server stands, when that has changed; nothing unless it is wanted."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._last = ""

    def news(self, status: session_pb2.SessionStatus) -> str:
        """A line, or nothing."""
        line = status_line(status) if self._wanted else ""
        news, self._last = line if line != self._last else "", line
        return news


class TerminalCaptions:
    """Partials are redrawn in place below, a line for each channel in which somebody speaks; finals stay above."""

    def __init__(self, console: Console, channels: int = 1, verbose: bool = False) -> None:
        self._console = console
        self._channels = channels
        self._partials: dict[int, Text] = {}
        self._status = StatusLines(verbose)

    @contextlib.contextmanager
    def shown(self) -> Iterator[Show]:
        """See Captions."""
        with Live(self._standing(), console=self._console, auto_refresh=False, transient=True) as live:
            yield lambda heard: self._show(live, heard)

    def note(self, line: str) -> None:
        """See Captions. What is redrawn stays below."""
        self._console.print(line, style="dim", markup=False)

    def _show(self, live: Live, heard: Heard) -> None:
        response = heard.response
        match response.WhichOneof("event"):
            case "partial":
                self._partials[response.partial.channel] = partial_line(response.partial, self._channels)
                live.update(self._standing(), refresh=True)
            case "final":
                self._partials.pop(response.final.channel, None)
                live.update(self._standing(), refresh=True)
                self._console.print(final_line(response.final, heard.latency_ms, self._channels))
            case "refinement":
                self._console.print(refinement_line(response.refinement, self._channels))
            case "status" if line := self._status.news(response.status):
                self.note(line)

    def _standing(self) -> Group:
        lines = [line for _, line in sorted(self._partials.items())]
        return Group(*(lines or [Text("… listening", style="dim")]))


class PlainCaptions:
    """A line for each final, never wrapped: for pipes and files. Partials, if wanted, get lines of their own.

    What was written is not taken back, so refinements are not shown.
    """

    def __init__(self, console: Console, partials: bool = False, channels: int = 1, verbose: bool = False) -> None:
        self._console = console
        self._partials = partials
        self._channels = channels
        self._status = StatusLines(verbose)

    @contextlib.contextmanager
    def shown(self) -> Iterator[Show]:
        """See Captions."""
        yield self._show

    def note(self, line: str) -> None:
        """See Captions. On standard error."""
        terminal.notes().print(line, style="dim", markup=False, soft_wrap=True)

    def _show(self, heard: Heard) -> None:
        response = heard.response
        match response.WhichOneof("event"):
            case "partial" if self._partials:
                text = partial_line(response.partial, self._channels).append(f"  {heard.latency_ms} ms", "dim")
                self._console.print(text, soft_wrap=True)
            case "final":
                self._console.print(final_line(response.final, heard.latency_ms, self._channels), soft_wrap=True)
            case "status" if line := self._status.news(response.status):
                self.note(line)


class JsonCaptions:
    """One JSON object a line for every answer, flushed at once."""

    @contextlib.contextmanager
    def shown(self) -> Iterator[Show]:
        """See Captions."""
        yield lambda heard: print(json.dumps(event_record(heard), ensure_ascii=False), flush=True)

    def note(self, line: str) -> None:
        """See Captions. On standard error."""
        terminal.notes().print(line, style="dim", markup=False, soft_wrap=True)


def _channel(channel: int, channels: int) -> tuple[str, str]:
    return (f"channel {channel}  ", "magenta") if channels > 1 else ("", "")
