"""`ai2text upload`: files and folders into the mesh, where each is transcribed by itself."""

import asyncio
import json
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import aiohttp
import typer
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from clients.cli import media_files, running, terminal
from clients.cli.commands import values
from clients.cli.commands.options import AsJson, Language
from clients.cli.connection import Connection
from clients.cli.problem import Problem, UsageProblem
from clients.cli.refusal import Refusal
from clients.cli.uploading import HTTP_TIMEOUT, Progressed, Stored, Uploader, Wanted

AT_ONCE = 4


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    path: Path
    stored: Stored | None = None
    problem: Problem | None = None


def upload(
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Files, and folders with all that is in them.")
    ],
    language: Language = "",
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="KEY=VALUE", help="Keep this with each recording; repeatable."),
    ] = None,
    title: Annotated[str, typer.Option("--title", help="What to call the recording, of a single file.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Of folders every file, not just sound and video.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Make new recordings, also of files that were uploaded before.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Upload recordings; each is transcribed by itself, and then found by search.

    The same files can be uploaded again: what is there already is not doubled, and a large file goes on where it broke
    off.
    """
    files = media_files.found(paths, every)
    if title and len(files) > 1:
        raise UsageProblem(f"One title for {len(files)} files.", "Without --title each is called like its file.")
    wanted = Wanted(title, language, values.labels(label or []), str(uuid.uuid4()) if again else "")
    board = Board(files, as_json)
    began = time.monotonic()

    async def work(connection: Connection) -> list[Outcome]:
        async with aiohttp.ClientSession(timeout=HTTP_TIMEOUT) as http:
            with board:
                return await uploaded(Uploader(connection, http, wanted), files, board)

    outcomes = running.connected_run(running.setup_of(context), "ai2text upload", work)
    failed = [outcome for outcome in outcomes if outcome.problem is not None]
    if not as_json:
        _conclude(outcomes, failed, time.monotonic() - began)
    if failed:
        raise typer.Exit(1)


class Board:
    """What the user sees meanwhile: a bar for each file in work and one for all, or a JSON line for each in the end."""

    def __init__(self, files: Sequence[Path], as_json: bool) -> None:
        self._sizes = {file: file.stat().st_size for file in files}
        self._sent = dict.fromkeys(files, 0)
        self._as_json = as_json
        console = terminal.notes()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=console,
            transient=True,
            disable=as_json or not console.is_terminal,
        )
        self._all = self._progress.add_task(f"{len(files)} files", total=sum(self._sizes.values()))

    def __enter__(self) -> None:
        self._progress.start()

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    @contextmanager
    def bar(self, file: Path) -> Iterator[Progressed]:
        """A bar for a file while it is in work; the function that is given says how much of it has been sent."""
        task = self._progress.add_task(file.name, total=self._sizes[file])

        def progressed(sent: int) -> None:
            self._progress.update(task, completed=sent)
            self._sent[file] = sent
            self._progress.update(self._all, completed=sum(self._sent.values()))

        try:
            yield progressed
        finally:
            progressed(self._sizes[file])
            self._progress.remove_task(task)

    def told(self, outcome: Outcome) -> None:
        """A file is done, or has failed."""
        if self._as_json:
            print(json.dumps(_record(outcome), ensure_ascii=False), flush=True)


async def uploaded(uploader: Uploader, files: Sequence[Path], board: Board) -> list[Outcome]:
    """What became of each file, in their order; AT_ONCE at a time. One that fails does not keep the others."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(file: Path) -> Outcome:
        async with slots:
            with board.bar(file) as progressed:
                try:
                    outcome = Outcome(file, stored=await uploader.upload(file, progressed))
                except Problem as problem:
                    outcome = Outcome(file, problem=problem)
        board.told(outcome)
        return outcome

    return await asyncio.gather(*(one(file) for file in files))


def _record(outcome: Outcome) -> dict[str, object]:
    """For scripts."""
    if outcome.stored is None:
        problem = outcome.problem
        reason = problem.details.reason if isinstance(problem, Refusal) else ""
        return {"file": str(outcome.path), "error": problem.sentence if problem else "", "reason": reason}
    recording = outcome.stored.recording
    return {
        "file": str(outcome.path),
        "recording_id": recording.recording_id,
        "operation": outcome.stored.operation,
        "title": recording.title,
        "size_bytes": recording.object.size_bytes,
        "duration_ms": recording.duration_ms,
    }


def _conclude(outcomes: Sequence[Outcome], failed: Sequence[Outcome], took_s: float) -> None:
    stored = [outcome.stored.recording for outcome in outcomes if outcome.stored is not None]
    total = decimal(sum(recording.object.size_bytes for recording in stored))
    many = "1 file is" if len(stored) == 1 else f"{len(stored)} files are"
    if stored:
        terminal.output().print(f"{many} stored ({total}, {took_s:.1f} s).", markup=False)
        terminal.notes().print("They are transcribed now: `ai2text jobs --watch` shows how far.", style="dim")
    if failed:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold red")
        table.add_column(f"{len(failed)} failed")
        table.add_column("why")
        for outcome in failed:
            table.add_row(Text(str(outcome.path)), Text(outcome.problem.sentence if outcome.problem else ""))
        terminal.notes().print(table)
        if any(isinstance(one.problem, Refusal) and one.problem.details.reason == "ALREADY_EXISTS" for one in failed):
            hint = "What was uploaded before under another title, or was deleted, is only taken with --again."
            terminal.notes().print(Text.assemble(("hint:  ", "bold"), hint), soft_wrap=True)
