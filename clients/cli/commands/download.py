"""`ai2text recordings download`: the file that a recording was made from, back from the mesh."""

import json
from pathlib import Path
from typing import Annotated

import aiohttp
import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from clients.cli import downloads, running, terminal
from clients.cli.commands.options import AsJson, RecordingId
from clients.cli.connection import Connection
from clients.cli.downloads import Download, File
from clients.cli.library import Library
from clients.cli.problem import Problem
from clients.cli.uploading import HTTP_TIMEOUT


def download(
    context: typer.Context,
    recording_id: RecordingId,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FILE", help="Where to, a file or a folder. Default: here, named by its title."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there already.")] = False,
    as_json: AsJson = False,
) -> None:
    """Download the file that a recording was made from, and see that it is what was uploaded.

    A download that broke off goes on where it was when it is asked for again. What was spoken live has no file.
    """

    async def work(connection: Connection) -> tuple[Path, File]:
        full_id = await Library(connection).full_id(recording_id)
        file = await downloads.file_of(connection, full_id)
        target = _target(to, file, full_id)
        if target.exists() and not force:
            raise downloads.taken(target)
        async with aiohttp.ClientSession(timeout=HTTP_TIMEOUT) as http:
            with _bar(target.name, file.size_bytes, as_json) as progress:
                task = progress.task_ids[0]
                saving = Download(connection, http, full_id, file)
                await saving.save(target, force, lambda came: progress.update(task, completed=came))
        return target, file

    target, file = running.connected_run(running.setup_of(context), "ai2text recordings download", work)
    if as_json:
        record = {"file": str(target), "size_bytes": file.size_bytes, "sha256": file.sha256.hex()}
        print(json.dumps(record, ensure_ascii=False))
    else:
        terminal.output().print(str(target), soft_wrap=True, markup=False)
        terminal.notes().print("It is what was uploaded: its SHA-256 is the same.", style="dim")


def _target(to: Path | None, file: File, recording_id: str) -> Path:
    """Where the file goes. Raises Problem when there can be none."""
    name = Path(file.file_name).name  # a server does not say in which folder
    if name.startswith(".") or not name:
        name = recording_id
    if to is None:
        return Path(name)
    if to.is_dir():
        return to / name
    if not to.parent.is_dir():
        raise Problem(f"There is no folder {to.parent}.")
    return to


def _bar(name: str, size_bytes: int, as_json: bool) -> Progress:
    console = terminal.notes()
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=as_json or not console.is_terminal,
    )
    progress.add_task(name, total=size_bytes)
    return progress
