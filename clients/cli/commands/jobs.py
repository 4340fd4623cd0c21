"""`ai2text jobs`: how far the transcriptions of files have come."""

import json
import uuid
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from clients.cli import job_bars, running, terminal
from clients.cli.commands.options import AsJson, Language
from clients.cli.connection import Connection
from clients.cli.jobs import Job, Jobs, age, record, state_of
from clients.cli.library import Library

jobs = typer.Typer(invoke_without_command=True, help="See how far the transcriptions of files have come.")

JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id, or the beginning of it.")]

Found = tuple[list[Job], dict[str, str]]
"""Jobs, and what each is called."""

_STYLES = {"failed": "red", "partly done": "yellow", "cancelled": "yellow", "running": "cyan", "done": "green"}


@jobs.callback()
def list_(
    context: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show bars until all are done.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the newest jobs; with --watch, wait for those that run. Exit code 1: not every one was done."""
    if context.invoked_subcommand is not None:
        return
    setup = running.setup_of(context)
    if watch:
        ended, names = running.connected_run(setup, "ai2text jobs --watch", _watched)
        for job in ended if as_json else ():
            print(json.dumps(record(job, names[job.job_id]), ensure_ascii=False))
        _conclude(ended)
        return

    async def look(connection: Connection) -> Found:
        found = await Jobs(connection).newest(limit)
        return found, await Jobs(connection).titles(found)

    found, titles = running.connected_run(setup, "ai2text jobs", look)
    if as_json:
        for job in found:
            print(json.dumps(record(job, titles[job.job_id]), ensure_ascii=False))
    elif found:
        terminal.output().print(_table(found, titles))
    else:
        terminal.output().print("There are no jobs yet. `ai2text upload FILE` makes one.")


@jobs.command()
def show(context: typer.Context, job_id: JobId, as_json: AsJson = False) -> None:
    """Show one job with its files."""

    async def look(connection: Connection) -> Found:
        client = Jobs(connection)
        job = await client.get(await client.full_id(job_id))
        return [job], await client.titles([job])

    (job,), titles = running.connected_run(running.setup_of(context), "ai2text jobs show", look)
    title = titles[job.job_id]
    if as_json:
        print(json.dumps(record(job, title), ensure_ascii=False, indent=2))
        return
    console = terminal.output()
    console.print(Text.assemble((title, "bold"), f"  {job.state}, {job.percent} %"))
    begun, changed = (age(time, datetime.now(UTC)) for time in (job.created, job.updated))
    console.print(f"{job.job_id} · begun {begun} ago, changed {changed} ago", style="dim")
    console.print(_files(job))
    if job.error is not None:
        console.print(job.error.message, style="yellow", markup=False, soft_wrap=True)


@jobs.command()
def wait(context: typer.Context, job_id: JobId) -> None:
    """Wait until a job is done. Exit code 1: not every file was."""

    async def work(connection: Connection) -> Job:
        client = Jobs(connection)
        return await job_bars.waited(client, await client.full_id(job_id))

    _conclude([running.connected_run(running.setup_of(context), "ai2text jobs wait", work)])


@jobs.command()
def cancel(context: typer.Context, job_id: JobId) -> None:
    """Transcribe nothing more of a job; what is there already stays."""

    async def work(connection: Connection) -> Job:
        client = Jobs(connection)
        full_id = await client.full_id(job_id)
        await client.cancel(full_id)
        return await client.get(full_id)

    job = running.connected_run(running.setup_of(context), "ai2text jobs cancel", work)
    terminal.output().print(f"{job.job_id}  {job.state}", markup=False)


@jobs.command()
def retry(
    context: typer.Context,
    recordings: Annotated[list[str], typer.Argument(metavar="RECORDING...", help="Ids, or the beginnings of them.")],
    language: Language = "",
    as_json: AsJson = False,
) -> None:
    """Transcribe recordings anew. The new transcript stands beside the old one, and exports take the new one."""
    request_id = str(uuid.uuid4())

    async def work(connection: Connection) -> Found:
        ids = [await Library(connection).full_id(given) for given in recordings]
        client = Jobs(connection)
        job = await client.transcribe(ids, language, request_id)
        return [job], await client.titles([job])

    (job,), titles = running.connected_run(running.setup_of(context), "ai2text jobs retry", work)
    if as_json:
        print(json.dumps(record(job, titles[job.job_id]), ensure_ascii=False))
        return
    terminal.output().print(job.job_id, markup=False)
    terminal.notes().print(f"`ai2text jobs wait {job.job_id[:8]}` waits for it.", style="dim")


async def _watched(connection: Connection) -> Found:
    client = Jobs(connection)
    ended = await job_bars.watched(client)
    return ended, await client.titles(ended)


def _conclude(ended: list[Job]) -> None:
    """Say how it went in one line, and by the exit code."""
    well = sum(job.is_well for job in ended)
    if not ended:
        terminal.notes().print("Nothing is being transcribed.", style="dim")
    elif len(ended) > 1:
        terminal.notes().print(f"{well} of {len(ended)} done", style="dim")
    if well < len(ended):
        raise typer.Exit(1)


def _table(found: list[Job], titles: dict[str, str]) -> Table:
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    shown.add_column("id", style="cyan", no_wrap=True)
    shown.add_column("state", no_wrap=True)
    shown.add_column("progress", justify="right", no_wrap=True)
    shown.add_column("title", overflow="ellipsis", no_wrap=True)
    shown.add_column("age", justify="right", no_wrap=True)
    now = datetime.now(UTC)
    for job in found:
        state = Text(job.state, _STYLES.get(job.state, ""))
        shown.add_row(job.job_id, state, f"{job.percent} %", Text(titles[job.job_id]), age(job.created, now))
    return shown


def _files(job: Job) -> Table:
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("recording", "state", "progress", "segments", "tries", "why"):
        shown.add_column(name, no_wrap=name != "why")
    for file in job.files:
        state = Text(state_of(file), _STYLES.get(state_of(file), ""))
        counts = (f"{file.progress_percent} %", str(file.segment_count), str(file.tries))
        shown.add_row(file.recording_id, state, *counts, Text(file.error.message))
    return shown
