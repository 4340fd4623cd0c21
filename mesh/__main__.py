"""`python -m mesh`: up, down, status, logs, restart, kill, canary, trace, doctor."""

import json
import os
import sys
from contextlib import suppress
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from mesh import doctor as checks
from mesh import status as statuses
from mesh import traces
from mesh.collector import SpanFile
from mesh.home import Home
from mesh.lifecycle import Mesh, MeshError
from mesh.logs import follow, show
from mesh.ports import Ports
from mesh.runtime import EdgeAway
from mesh.supervision import SupervisorAway, SupervisorRefused

app = typer.Typer(help="The local mesh of AI2Text.", no_args_is_help=True, add_completion=False)
console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
complaints = Console(stderr=True, highlight=False)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def _mesh() -> Mesh:
    home = Home.from_env()
    return Mesh(home, Ports.of(home), console)


@app.command()
def up(
    only: Annotated[str, typer.Option(help="Only these parts, with commas between: postgres,nats.")] = "",
    timeout: Annotated[float, typer.Option(help="How long to wait until all is well, in seconds.")] = 300,
) -> None:
    """Start the mesh, and wait until every part is well."""
    mesh = _mesh()
    names = [name.strip() for name in only.split(",") if name.strip()]
    found_before = [] if names else checks.before_start(mesh.home)
    if missing := [found for found in found_before if found.verdict is checks.Verdict.MISSING]:
        raise MeshError("\n".join(f"{found.words}: {found.mend}" for found in missing))
    mesh.up(names, timeout)
    console.print(f"The mesh is up at [bold]http://{mesh.ports.address('edge')}[/]. Its logs are in {mesh.home.logs}.")


@app.command()
def down() -> None:
    """Stop the mesh; its data stays."""
    _mesh().down()


@app.command()
def status(as_json: Json = False) -> None:
    """Show each part: its process, ports, health, log. Exits 1 when something is unwell."""
    seen = statuses.look(_mesh())
    if as_json:
        print(json.dumps(seen.as_json(), indent=2))
    elif not seen.up:
        console.print("The mesh is not running: `make up` starts it.")
    else:
        console.print(statuses.table(seen, console.width))
        console.print(
            f"\nClients call [bold]{seen.endpoint}[/]. Data is in {seen.home}, logs in {seen.home}/logs/PART.log."
        )
    raise typer.Exit(0 if seen.well else 1)


@app.command()
def logs(
    part: Annotated[str | None, typer.Argument(help="Which part; default: all.")] = None,
    follow_on: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines are written.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines to begin with.")] = 40,
) -> None:
    """Show the log of one part, or of all."""
    mesh = _mesh()
    names = [mesh.part(part).name] if part else [part.name for part in mesh.parts]
    paths = {name: mesh.log(name) for name in names}
    with suppress(KeyboardInterrupt):
        follow(paths, lines) if follow_on else show(paths, lines)


@app.command()
def restart(part: str) -> None:
    """Stop and start one part, and wait until it is well."""
    _mesh().restart(part)


@app.command()
def kill(part: str, signal: str = "KILL") -> None:
    """Send a signal to one part, to see it come back."""
    _mesh().kill(part, signal)


@app.command()
def canary(
    weight: Annotated[int | None, typer.Argument(min=0, max=100, help="Per cent; default: show it.")] = None,
) -> None:
    """Show or set how many of a hundred new sessions the canary of asr gets; those that run stay where they are."""
    console.print(f"The canary gets {_mesh().canary(weight)} % of what begins.")


@app.command()
def trace(
    trace_id: Annotated[str | None, typer.Argument(help="32 hex digits.")] = None,
    last: Annotated[bool, typer.Option("--last", help="The latest trace instead.")] = False,
    service: Annotated[str, typer.Option(help="With --last: the latest in which this service took part.")] = "",
    name: Annotated[str, typer.Option(help="With --last: the latest with a span whose name contains this.")] = "",
    as_tree: Annotated[bool, typer.Option("--tree", help="Draw it, in place of JSON.")] = False,
) -> None:
    """Print one trace: its spans as a JSON array, parents first, or as a tree."""
    paths = SpanFile(_mesh().home.traces / "spans.jsonl").all_paths()
    wanted = traces.last_trace_id(paths, service, name) if last else trace_id
    spans = traces.trace(paths, wanted) if wanted else []
    if not spans:
        raise MeshError("there is no such trace; spans arrive a few seconds after what they tell of")
    print(traces.tree(spans) if as_tree else json.dumps([span.raw for span in spans], indent=2, ensure_ascii=False))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say in words what is missing or unwell. Exits 1 when something is missing."""
    findings = checks.examine(_mesh())
    if as_json:
        print(json.dumps([found.as_json() for found in findings], indent=2))
    else:
        console.print(checks.table(findings))
    raise typer.Exit(1 if any(found.verdict is checks.Verdict.MISSING for found in findings) else 0)


def main() -> None:
    """Runs the command line; what went wrong is said in one sentence and exits 1."""
    try:
        app()
    except (MeshError, SupervisorAway, SupervisorRefused, EdgeAway, ValueError) as error:
        complaints.print(f"[red]✗[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
