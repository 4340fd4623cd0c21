"""Jobs while they run: a bar for each, and one for all, until every one is done."""

import asyncio
from collections.abc import Iterable

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from clients.cli import terminal
from clients.cli.jobs import Job, Jobs

LOOK_S = 1.0
MOST_WATCHED = 1000
SETTLING_LOOKS = 3
"""How often nothing is found before nothing is waited for: what was uploaded a moment ago takes one to appear."""
MOST_BARS = 20


class JobBars:
    """What is drawn, where there is a terminal: else a line for each job that has ended."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.fields[title]}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[state]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._bars: dict[str, TaskID] = {}
        self._ended: dict[str, Job] = {}
        self._all = self._progress.add_task("", total=100, title="all", state="", visible=False)

    def __enter__(self) -> "JobBars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    @property
    def ended(self) -> list[Job]:
        """The jobs that were seen to end."""
        return list(self._ended.values())

    def show(self, jobs: Iterable[Job], titles: dict[str, str]) -> None:
        """Draw them as they are now."""
        seen = list(jobs)
        for job in seen:
            if job.job_id in self._ended:
                continue
            if job.is_done:
                self._end(job, titles[job.job_id])
            else:
                self._draw(job, titles[job.job_id])
        whole = len(self._ended) + sum(job.job_id not in self._ended for job in seen)
        percent = 100 * len(self._ended) + sum(job.percent for job in seen if job.job_id not in self._ended)
        state = f"{len(self._ended)} of {whole}"
        self._progress.update(self._all, completed=percent / max(1, whole), state=state, visible=whole > 1)

    def _draw(self, job: Job, title: str) -> None:
        if job.job_id not in self._bars and len(self._bars) < MOST_BARS:
            self._bars[job.job_id] = self._progress.add_task("", total=100, title=title, state=job.state)
        if job.job_id in self._bars:
            self._progress.update(self._bars[job.job_id], completed=job.percent, state=job.state)

    def _end(self, job: Job, title: str) -> None:
        self._ended[job.job_id] = job
        if job.job_id in self._bars:
            self._progress.remove_task(self._bars.pop(job.job_id))
        why = f": {job.error.message}" if job.error is not None and job.error.message else ""
        style = "" if job.is_well else "yellow"
        line = f"{job.state:<11} {title}{why}"
        self._progress.console.print(line, style=style, markup=False, soft_wrap=True)


async def watched(jobs: Jobs) -> list[Job]:
    """Every job that runs or begins to, until none does; as they ended."""
    waiting: set[str] = set()
    nothing = 0
    with JobBars(terminal.notes()) as bars:
        while waiting or nothing < SETTLING_LOOKS:
            running = await jobs.newest(MOST_WATCHED, running_only=True)
            gone = [await jobs.get(job_id) for job_id in waiting - {job.job_id for job in running}]
            waiting = {job.job_id for job in running}
            nothing = 0 if waiting else SETTLING_LOOKS if bars.ended or gone else nothing + 1
            bars.show([*gone, *running], await jobs.titles([*gone, *running]))
            if waiting or nothing < SETTLING_LOOKS:
                await asyncio.sleep(LOOK_S)
        return bars.ended


async def waited(jobs: Jobs, job_id: str) -> Job:
    """One job, until it is done."""
    with JobBars(terminal.notes()) as bars:
        while True:
            job = await jobs.wait(job_id, LOOK_S)
            bars.show([job], await jobs.titles([job]))
            if job.is_done:
                return job
