"""`ai2text transcribe`: files as text, as fast as the mesh can."""

import functools
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from clients.cli import finals, running, terminal
from clients.cli.commands.options import Language, NoStore
from clients.cli.connection import Connect
from clients.cli.finals import Format
from clients.cli.media_files import readable
from clients.cli.problem import Problem, UsageProblem
from clients.cli.sources import AudioFile
from clients.cli.speaking import resumed_line
from clients.cli.stream import Heard, SpeechStream
from clients.cli.tally import Tally
from clients.cli.times import clock
from clients.cli.wish import Wish


def transcribe(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Sound or video of any format and length.")],
    language: Language = "",
    form: Annotated[Format, typer.Option("--format", "-f", help="How to write the transcript.")] = Format.TXT,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to write it: a file, or with several FILEs a folder."),
    ] = None,
    no_store: NoStore = False,
) -> None:
    """Turn sound files into text, subtitles or JSON.

    The text is printed, or written with --output. Each file becomes a recording that search finds, unless --no-store.
    When it ends too early, also by Ctrl-C, what was heard until then is printed, or written to a file beside --output
    whose name ends in .partial.
    """
    sources = [AudioFile(file) for file in files]
    targets = _targets(files, output, form)
    setup = running.setup_of(context)
    for source, target in zip(sources, targets, strict=True):
        wish = Wish(language, partials_disabled=True, storage_disabled=no_store, title=source.title)
        transcript = _Transcript(source, form, target, is_headed=len(sources) > 1 and form is Format.TXT)
        try:
            running.connecting_run(setup, "ai2text transcribe", functools.partial(_listen, wish, transcript))
        except BaseException:  # Ctrl-C is none of the others
            transcript.rescue()
            raise
        transcript.deliver()


def _targets(files: list[Path], output: Path | None, form: Format) -> list[Path | None]:
    """Where each file's transcript goes, as far as it can go there; None is standard output. Raises Problem."""
    if output is None:
        if len(files) > 1 and form is not Format.TXT:
            raise UsageProblem(f"Several files as {form} need a folder.", "Name one with --output.")
        return [None] * len(files)
    if len(files) == 1 and not output.is_dir():
        return [_writable(output)]
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Problem(f"{output} cannot be made a folder: {error.strerror}.") from error
    targets = [_writable(output / f"{file.stem}.{form}") for file in files]
    if len(set(targets)) < len(targets):
        raise UsageProblem("Two of the files have the same name.", "Transcribe them one by one.")
    return list(targets)


def _writable(target: Path) -> Path:
    """The same. Raises Problem, before an hour is spent on what cannot be written then."""
    if not target.parent.is_dir():
        raise Problem(f"There is no folder {target.parent}.")
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise Problem(f"{target} cannot be written: you may not.")
    return target


@dataclass(frozen=True)
class _Transcript:
    """What is heard in one file, and where it goes."""

    source: AudioFile
    form: Format
    target: Path | None
    """None is standard output."""
    is_headed: bool
    """On standard output the file's name stands above its text."""
    tally: Tally = field(default_factory=Tally)

    def deliver(self) -> None:
        """Write it where it belongs, and say so. Raises Problem."""
        self._write(self.target)
        self._note(f"{self.tally.count()} in {clock(self.tally.processed_ms)}", self.target)

    def rescue(self) -> None:
        """Write what there is of it, and say so: with --output beside the file, which is left as it is."""
        if not self.tally.finals:
            return
        beside = None if self.target is None else self.target.with_name(f"{self.target.name}.partial")
        try:
            self._write(beside)
        except Problem as problem:
            terminal.complain(problem)
            beside = None
        self._note(f"broken off at {clock(self.tally.finals[-1].end_ms)}, after {self.tally.count()}", beside)

    def _note(self, came_to: str, target: Path | None) -> None:
        parts = [f"{self.source.path.name}: {came_to}"]
        if target is not None:
            parts.append(f"written to {target}")
        if self.tally.recording_ids:
            parts.append(f"recording {' and '.join(self.tally.recording_ids)}")
        terminal.notes().print(" · ".join(parts), style="dim", markup=False, soft_wrap=True)

    def _write(self, target: Path | None) -> None:
        about = {
            "file": readable(self.source.path.name),
            "recording_id": self.tally.recording_id,
            "duration_ms": self.tally.processed_ms,
        }
        text = finals.written(self.tally.refined, self.form, about)
        if target is None:
            if self.is_headed:
                terminal.output().print(f"== {self.source.path}", markup=False, soft_wrap=True)
            terminal.output().out(text, end="", highlight=False)
            return
        try:
            target.write_text(text, encoding="utf-8")
        except OSError as error:
            raise Problem(f"{target} cannot be written: {error.strerror}.") from error


async def _listen(wish: Wish, transcript: _Transcript, connect: Connect) -> None:
    with _progress() as progress:
        task = progress.add_task(transcript.source.path.name, total=transcript.source.duration_ms, position="")

        def show(heard: Heard) -> None:
            done = heard.response.cursors.processed_ms
            progress.update(task, completed=done, position=clock(done))

        stream = SpeechStream(connect, wish, lambda resumption: progress.console.print(resumed_line(resumption)))
        await stream.unpaced(transcript.source, transcript.tally.counting(show))


def _progress() -> Progress:
    console = terminal.notes()
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[position]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
