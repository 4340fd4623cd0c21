"""Random requests to every rpc through the edge of the running mesh: `make test-fuzz`.

Requests are drawn from the descriptors of the contract: good ones with a few fields spoilt, any others, bytes that are
no message, JSON and what is none, from callers of every kind. A fault is: INTERNAL or UNKNOWN; UNAVAILABLE although it
was asked again; no answer in time; a refusal without a reason of the contract; a stranger who is let in; a part that
was restarted; an error in a log. A request that fails is made as small as it can be, and shown. All is done as tenants
of the run's own. Exit code 1 on any fault.
"""

import argparse
import random
import sys
import time
from contextlib import closing

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench import report
from bench.fuzz.calls import patiently
from bench.fuzz.ground import Ground
from bench.fuzz.methods import Method, public
from bench.fuzz.rounds import Fuzzing, Tally
from bench.fuzz.watch import Watch
from mesh.home import Home
from mesh.keys import Keys
from mesh.parts import parts
from mesh.ports import Ports

CASES = 10_000


def fuzz(home: Home, ports: Ports, cases: int, seed: int, methods: list[Method], console: Console) -> list[Tally]:
    """Send `cases` requests to the mesh of `home`, and show how far it has come."""
    logs = {part.name: home.logs / f"{part.name}.log" for part in parts(ports, home)}
    with (
        closing(Watch(home, logs)) as watch,
        Ground.standing(ports.address("edge"), Keys(home.keys)) as ground,
        _bar(console) as progress,
    ):
        task = progress.add_task("", total=cases)
        done: dict[str, int] = {}

        def told(tally: Tally) -> None:
            done[tally.method.name] = tally.cases
            progress.update(task, completed=sum(done.values()), description=tally.method.name)

        fuzzing = Fuzzing(
            send=lambda method, case: patiently(ground.sender(), method, case),
            refresh=ground.refresh,
            seen=lambda: [*watch.restarted(), *watch.complaints()],
        )
        return fuzzing.run(methods, cases, seed, told)


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description:<36}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def table(tallies: list[Tally]) -> Table:
    """Each rpc with the codes that it answered, the most frequent first."""
    shown = Table()
    for heading in ("rpc", "cases", "codes seen", "faults"):
        shown.add_column(heading, no_wrap=heading == "rpc")
    for tally in tallies:
        codes = ", ".join(f"{code} {count}" for code, count in tally.codes.most_common())
        faults = f"[red]{len(tally.findings)}[/]" if tally.findings else "0"
        shown.add_row(tally.method.name, str(tally.cases), escape(codes), faults)
    return shown


def figures(tallies: list[Tally], seed: int, seconds: float) -> dict[str, report.Figure]:
    """What is kept of a run."""
    codes = {code for tally in tallies for code in tally.codes}
    return {
        "seed": seed,
        "cases": sum(tally.cases for tally in tallies),
        "rpcs": len(tallies),
        "seconds": round(seconds, 1),
        "faults": sum(len(tally.findings) for tally in tallies),
        **{f"code_{code.lower().replace(' ', '_')}": sum(t.codes[code] for t in tallies) for code in sorted(codes)},
    }


def main() -> int:
    """Run, print the table and what was found, write build/bench/fuzz.json."""
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=CASES, help="how many in all (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="draws the same cases again (default: another each time)")
    parser.add_argument("--only", default="", help="only rpcs whose name has this, such as Search")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(1_000_000)
    methods = [method for method in public() if options.only in method.name]
    if not methods:
        parser.error(f"there is no rpc with {options.only!r} in its name")
    console, home = Console(highlight=False), Home.from_env()
    console.print(f"{report.machine()}; {options.cases} cases, seed {seed} (again with --seed {seed})")
    began = time.monotonic()
    tallies = fuzz(home, Ports.of(home), options.cases, seed, methods, console)
    console.print(table(tallies))
    report.write("fuzz", figures(tallies, seed, time.monotonic() - began))
    findings = [finding for tally in tallies for finding in tally.findings]
    for one in findings:
        console.print(f"[red]✗[/] {escape(str(one))}", soft_wrap=True)
    console.print("[red]failed[/]" if findings else "[green]no INTERNAL, no crash[/]")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
