"""`ai2text reindex`: fill an index that was lost from what is stored."""

import json
from typing import Annotated

import typer

from clients.cli import retelling, running, terminal
from clients.cli.commands.options import AsJson
from clients.cli.connection import Connection
from clients.cli.problem import UsageProblem
from clients.cli.retelling import Progress


def reindex(
    context: typer.Context,
    tenant: Annotated[str, typer.Option("--tenant", metavar="TENANT", help="Only what this tenant has.")] = "",
    recording: Annotated[
        str, typer.Option("--recording", metavar="ID", help="Only this recording, the whole id; needs --tenant.")
    ] = "",
    start: Annotated[
        str, typer.Option("--from", metavar="TOKEN", help="Go on where an earlier one was broken off.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Tell the search server again what is stored, so that what its index has lost is found again. Needs `admin`.

    What is there already stays as it is, and what is new goes before. Searches say BUILDING meanwhile.
    """
    if recording and not tenant:
        raise UsageProblem("--recording needs --tenant.", "Name the tenant whose recording it is.")
    last = Progress(token=start)

    def show(progress: Progress) -> None:
        nonlocal last
        last = progress
        if not as_json and progress.token:
            waits = f" · {progress.waiting} wait to be taken in" if progress.waiting else ""
            terminal.notes().print(f"{progress.counts} · {progress.tenant}{waits}", style="dim", markup=False)

    async def retell(connection: Connection) -> Progress:
        return await retelling.retell(connection, tenant, recording, start, show)

    try:
        done = running.connected_run(running.setup_of(context), "ai2text reindex", retell)
    except BaseException:  # Ctrl-C, too
        if last.token:
            terminal.notes().print(f"It goes on with --from {last.token}", soft_wrap=True, markup=False)
        raise
    if as_json:
        print(json.dumps({"recordings": done.recordings, "segments": done.segments, "deleted": done.deleted}))
        return
    terminal.output().print(f"Told again: {done.counts}.", markup=False)
