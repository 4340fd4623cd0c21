"""`ai2text recordings`: what is stored."""

import json
from collections.abc import Mapping
from datetime import UTC
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from ai2text.metadata.v1 import recording_pb2, recording_service_pb2
from rich.table import Table
from rich.text import Text

from clients.cli import pcm, running, terminal
from clients.cli.commands import values
from clients.cli.commands.download import download
from clients.cli.commands.options import AsJson, RecordingId
from clients.cli.connection import Connection
from clients.cli.finals import Format
from clients.cli.library import Library, Said
from clients.cli.problem import Problem, UsageProblem
from clients.cli.times import clock, precise

Channel = Annotated[
    int | None,
    typer.Option(
        "--channel",
        metavar="N",
        min=0,
        max=pcm.MAX_CHANNELS - 1,
        help="Only what was said in this channel of the sound, counted from 0. Default: in all, by time.",
    ),
]

recordings = typer.Typer(no_args_is_help=True, help="List, read, export, download, label and delete what is stored.")


class Order(Enum):
    """In which order recordings are listed."""

    NEWEST = "newest"
    OLDEST = "oldest"
    TITLE = "title"
    LONGEST = "longest"


_ORDERS = {
    Order.NEWEST: recording_service_pb2.RECORDING_ORDER_NEWEST,
    Order.OLDEST: recording_service_pb2.RECORDING_ORDER_OLDEST,
    Order.TITLE: recording_service_pb2.RECORDING_ORDER_TITLE,
    Order.LONGEST: recording_service_pb2.RECORDING_ORDER_LONGEST,
}


@recordings.command("list")
def list_(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="How many at most.")] = 50,
    title: Annotated[str, typer.Option("--title", help="Only those whose title contains this.")] = "",
    language: Annotated[
        str, typer.Option("--language", "-l", metavar="CODE", help="Only those in this language, such as vi.")
    ] = "",
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="KEY[=VALUE]", help="Only those with this label; may be given again."),
    ] = None,
    order: Annotated[Order, typer.Option("--order", help="Which come first.")] = Order.NEWEST,
    after: Annotated[
        str,
        typer.Option(
            "--after", metavar="TIME", help="Only those made then or later, such as 2026-11-25 or 2026-11-25T14:30."
        ),
    ] = "",
    before: Annotated[str, typer.Option("--before", metavar="TIME", help="Only those made before that.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the recordings, the newest first."""
    setup = running.setup_of(context)
    wanted = recording_service_pb2.ListRecordingsRequest(
        title_contains=title, language_code=language, labels=labels or (), order=_ORDERS[order]
    )
    if after:
        wanted.created_after.FromDatetime(values.time("--after", after))
    if before:
        wanted.created_before.FromDatetime(values.time("--before", before))
    narrowed = bool(title or language or labels or after or before)
    found = running.connected_run(setup, "ai2text recordings list", lambda c: Library(c).newest(limit, wanted))
    if as_json:
        for recording in found:
            print(json.dumps(_record(recording), ensure_ascii=False))
    elif found:
        terminal.output().print(_table(found))
    elif narrowed:
        terminal.output().print("No recording is like that.")
    else:
        terminal.output().print("There are no recordings yet. `ai2text live FILE` makes one.")


@recordings.command()
def show(context: typer.Context, recording_id: RecordingId, channel: Channel = None, as_json: AsJson = False) -> None:
    """Show a recording and what was said in it, with times."""

    async def look(connection: Connection) -> tuple[recording_pb2.Recording, list[Said]]:
        library = Library(connection)
        full_id = await library.full_id(recording_id)
        return await library.recording(full_id), await library.said(full_id, channel)

    recording, said = running.connected_run(running.setup_of(context), "ai2text recordings show", look)
    if as_json:
        document = _record(recording) | {"segments": [_segment_record(one) for one in said]}
        print(json.dumps(document, ensure_ascii=False, indent=2))
        return
    console = terminal.output()
    console.print(Text.assemble((recording.title, "bold"), (f"\n{_about(recording)}\n", "dim")))
    several = len({one.channel for one in said}) > 1
    for one in said:
        where = (f"channel {one.channel}  ", "magenta") if several else ""
        time = (f"{precise(one.segment.start_ms):>8}  ", "cyan")
        console.print(Text.assemble(time, where, one.segment.text), soft_wrap=True)


@recordings.command()
def export(
    context: typer.Context,
    recording_id: RecordingId,
    form: Annotated[Format, typer.Option("--format", "-f", help="The file format.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file; default: print it.")] = None,
    channel: Channel = None,
) -> None:
    """Write what was said in a recording as subtitles, text or JSON."""

    async def pieces(connection: Connection) -> str:
        library = Library(connection)
        full_id = await library.full_id(recording_id)
        return "".join([piece async for piece in library.export(full_id, form, channel)])

    text = running.connected_run(running.setup_of(context), "ai2text recordings export", pieces)
    if output is None:
        terminal.output().out(text, end="", highlight=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Problem(f"{output} cannot be written: {error.strerror}.") from error
    terminal.notes().print(f"written to {output}", style="dim", markup=False, soft_wrap=True)


recordings.command()(download)


@recordings.command()
def rename(
    context: typer.Context,
    recording_id: RecordingId,
    title: Annotated[str, typer.Argument(metavar="TITLE", help="What to call it from now on.")],
) -> None:
    """Give a recording another title."""

    async def change(connection: Connection) -> recording_pb2.Recording:
        library = Library(connection)
        return await library.rename(await library.full_id(recording_id), title)

    _say(running.connected_run(running.setup_of(context), "ai2text recordings rename", change))


@recordings.command()
def label(
    context: typer.Context,
    recording_id: RecordingId,
    changes: Annotated[
        list[str], typer.Argument(metavar="KEY=VALUE|KEY-...", help="Sets a label, or with a minus takes it away.")
    ],
) -> None:
    """Set labels of a recording, or take them away."""
    new, gone = _label_changes(changes)

    def changed(labels: Mapping[str, str]) -> Mapping[str, str]:
        return {key: value for key, value in labels.items() if key not in gone} | new

    async def change(connection: Connection) -> recording_pb2.Recording:
        library = Library(connection)
        return await library.relabel(await library.full_id(recording_id), changed)

    _say(running.connected_run(running.setup_of(context), "ai2text recordings label", change))


@recordings.command()
def delete(
    context: typer.Context,
    recording_ids: Annotated[
        list[str], typer.Argument(metavar="ID...", help="The recordings' ids, or the beginnings of them.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete recordings with their transcripts, for good."""
    setup = running.setup_of(context)

    async def look(connection: Connection) -> list[recording_pb2.Recording]:
        library = Library(connection)
        full_ids = dict.fromkeys([await library.full_id(one) for one in recording_ids])
        return [await library.recording(full_id) for full_id in full_ids]

    found = running.connected_run(setup, "ai2text recordings delete", look)
    if not yes:
        terminal.notes().print(_table(found))
        what = f"these {len(found)} recordings" if len(found) > 1 else "this recording"
        typer.confirm(f"Delete {what} for good?", abort=True, err=True)

    async def remove(connection: Connection) -> None:
        library = Library(connection)
        for recording in found:
            await library.delete(recording.recording_id)
            terminal.notes().print(f"deleted {recording.recording_id}", style="dim", markup=False, soft_wrap=True)

    running.connected_run(setup, "ai2text recordings delete", remove)


def _label_changes(changes: list[str]) -> tuple[dict[str, str], set[str]]:
    """The labels to set, and the keys of those to take away."""
    new: dict[str, str] = {}
    gone: set[str] = set()
    for change in changes:
        key, parted, value = change.partition("=")
        if parted and key:
            new[key] = value
        elif not parted and change.endswith("-") and change != "-":
            gone.add(change[:-1])
        else:
            raise UsageProblem(f"{change} changes no label.", "KEY=VALUE sets a label, KEY- takes it away.")
    return new, gone


def _say(recording: recording_pb2.Recording) -> None:
    """What a changed recording is now."""
    terminal.output().print(Text.assemble((recording.title, "bold"), (f"\n{_about(recording)}", "dim")))


def _labels(recording: recording_pb2.Recording) -> str:
    return " ".join(f"{key}={value}" if value else key for key, value in sorted(recording.labels.items()))


def _table(found: list[recording_pb2.Recording]) -> Table:
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    shown.add_column("id", style="cyan", no_wrap=True)
    shown.add_column("title", overflow="ellipsis", no_wrap=True)
    shown.add_column("made", no_wrap=True)
    shown.add_column("length", justify="right", no_wrap=True)
    shown.add_column("segments", justify="right")
    shown.add_column("language")
    if any(recording.labels for recording in found):
        shown.add_column("labels")
    for recording in found:
        shown.add_row(
            recording.recording_id,
            Text(recording.title),
            _made(recording),
            clock(recording.duration_ms),
            str(recording.segment_count),
            recording.language_code,
            *([Text(_labels(recording))] if len(shown.columns) > 6 else []),
        )
    return shown


def _made(recording: recording_pb2.Recording) -> str:
    """When it was created, in local time."""
    return recording.create_time.ToDatetime(tzinfo=UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def _about(recording: recording_pb2.Recording) -> str:
    parts = [recording.recording_id, _made(recording), clock(recording.duration_ms), recording.language_code]
    parts.append(_labels(recording))
    return " · ".join(part for part in parts if part)


def _record(recording: recording_pb2.Recording) -> dict[str, Any]:
    return {
        "recording_id": recording.recording_id,
        "title": recording.title,
        "source": recording_pb2.RecordingSource.Name(recording.source).removeprefix("RECORDING_SOURCE_").lower(),
        "language_code": recording.language_code,
        "duration_ms": recording.duration_ms,
        "segment_count": recording.segment_count,
        "labels": dict(recording.labels),
        "create_time": recording.create_time.ToJsonString(),
        "update_time": recording.update_time.ToJsonString(),
    }


def _segment_record(said: Said) -> dict[str, Any]:
    segment = said.segment
    return {
        "segment_id": segment.segment_id,
        "segment_index": segment.segment_index,
        "channel": said.channel,
        "text": segment.text,
        "raw_text": segment.raw_text,
        "start_ms": segment.start_ms,
        "end_ms": segment.end_ms,
        "language_code": segment.language_code,
        "confidence": round(segment.confidence, 4),
    }
