"""`ai2text recordings`: what is stored."""

import json
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any

import typer
from ai2text.metadata.v1 import recording_pb2, transcript_pb2
from rich.table import Table
from rich.text import Text

from clients.cli import running, terminal
from clients.cli.commands.options import AsJson, RecordingId
from clients.cli.connection import Connection
from clients.cli.finals import Format
from clients.cli.library import Library
from clients.cli.problem import Problem
from clients.cli.times import clock, precise

recordings = typer.Typer(no_args_is_help=True, help="List, read and export what is stored.")


@recordings.command("list")
def list_(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the recordings, the newest first."""
    setup = running.setup_of(context)
    found = running.connected_run(setup, "ai2text recordings list", lambda c: Library(c).newest(limit))
    if as_json:
        for recording in found:
            print(json.dumps(_record(recording), ensure_ascii=False))
    elif found:
        terminal.output().print(_table(found))
    else:
        terminal.output().print("There are no recordings yet. `ai2text live FILE` makes one.")


@recordings.command()
def show(context: typer.Context, recording_id: RecordingId, as_json: AsJson = False) -> None:
    """Show a recording and what was said in it, with times."""

    async def look(connection: Connection) -> tuple[recording_pb2.Recording, list[transcript_pb2.Segment]]:
        library = Library(connection)
        full_id = await library.full_id(recording_id)
        return await library.recording(full_id), await library.segments(full_id)

    recording, segments = running.connected_run(running.setup_of(context), "ai2text recordings show", look)
    if as_json:
        document = _record(recording) | {"segments": [_segment_record(segment) for segment in segments]}
        print(json.dumps(document, ensure_ascii=False, indent=2))
        return
    console = terminal.output()
    console.print(Text.assemble((recording.title, "bold"), (f"\n{_about(recording)}\n", "dim")))
    for segment in segments:
        console.print(Text.assemble((f"{precise(segment.start_ms):>8}  ", "cyan"), segment.text), soft_wrap=True)


@recordings.command()
def export(
    context: typer.Context,
    recording_id: RecordingId,
    form: Annotated[Format, typer.Option("--format", "-f", help="The file format.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file; default: print it.")] = None,
) -> None:
    """Write the transcript of a recording as subtitles, text or JSON."""

    async def pieces(connection: Connection) -> str:
        library = Library(connection)
        full_id = await library.full_id(recording_id)
        return "".join([piece async for piece in library.export(full_id, form)])

    text = running.connected_run(running.setup_of(context), "ai2text recordings export", pieces)
    if output is None:
        terminal.output().out(text, end="", highlight=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Problem(f"{output} cannot be written: {error.strerror}.") from error
    terminal.notes().print(f"written to {output}", style="dim", markup=False, soft_wrap=True)


def _table(found: list[recording_pb2.Recording]) -> Table:
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    shown.add_column("id", style="cyan", no_wrap=True)
    shown.add_column("title", overflow="ellipsis", no_wrap=True)
    shown.add_column("made", no_wrap=True)
    shown.add_column("length", justify="right", no_wrap=True)
    shown.add_column("segments", justify="right")
    shown.add_column("language")
    for recording in found:
        shown.add_row(
            recording.recording_id,
            Text(recording.title),
            _made(recording),
            clock(recording.duration_ms),
            str(recording.segment_count),
            recording.language_code,
        )
    return shown


def _made(recording: recording_pb2.Recording) -> str:
    """When it was created, in local time."""
    return recording.create_time.ToDatetime(tzinfo=UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def _about(recording: recording_pb2.Recording) -> str:
    parts = [recording.recording_id, _made(recording), clock(recording.duration_ms), recording.language_code]
    return " · ".join(part for part in parts if part)


def _record(recording: recording_pb2.Recording) -> dict[str, Any]:
    return {
        "recording_id": recording.recording_id,
        "title": recording.title,
        "source": recording_pb2.RecordingSource.Name(recording.source).removeprefix("RECORDING_SOURCE_").lower(),
        "language_code": recording.language_code,
        "duration_ms": recording.duration_ms,
        "segment_count": recording.segment_count,
        "create_time": recording.create_time.ToJsonString(),
        "update_time": recording.update_time.ToJsonString(),
    }


def _segment_record(segment: transcript_pb2.Segment) -> dict[str, Any]:
    return {
        "segment_id": segment.segment_id,
        "segment_index": segment.segment_index,
        "text": segment.text,
        "start_ms": segment.start_ms,
        "end_ms": segment.end_ms,
        "language_code": segment.language_code,
        "confidence": round(segment.confidence, 4),
    }
