"""The weekly drill of the dead letters, on the mesh of `make up`: `make drill-dlq`.

Each kind of poison is put into the pipeline under a tenant of the drill's own, must be given up by its consumer with
the reason, is listed, replayed after its cause is mended, and must then succeed; what cannot be mended must come back
when it is replayed, and is discarded. Any miss is exit code 1. For some seconds the part `embeddings` runs with a limit
that only the drill's own text exceeds.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
from ai2text.admin.v1 import dead_letter_service_pb2
from rich.console import Console
from rich.table import Table

from bench import clips, report
from bench.drill import ground as grounds
from bench.drill.cases import Case, cases, cleared
from bench.drill.ground import Ground
from mesh.home import Home

PATIENCE_S = 180.0
SHORTEST_CLIPS = 2


@dataclass
class Outcome:
    """How one case went."""

    name: str
    reason: str = ""
    tries: int = 0
    buried_s: float | None = None
    replayed: bool = False
    ended: str = ""
    """What came of the replay."""
    ended_s: float | None = None
    miss: str = ""
    """What did not go as it must; empty: nothing."""


class Missed(Exception):
    """Something did not happen, or not as it must."""


async def until(what: str, look: Callable[[], Awaitable[object]]) -> float:
    """Seconds until `look` found it. Missed after PATIENCE_S. A server that is away is looked for again."""
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE_S:
        try:
            if await look():
                return time.monotonic() - began
        except grpc.aio.AioRpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND):
                raise
        await asyncio.sleep(0.5)
    raise Missed(f"{what}: not within {PATIENCE_S:.0f} s")


async def run(case: Case, ground: Ground, told: Callable[[str], None]) -> Outcome:
    """One case from the poison to its end."""
    outcome = Outcome(case.name)
    known = {letter.dead_letter_id for letter in await ground.letters()}
    buried: list[dead_letter_service_pb2.DeadLetter] = []

    async def given_up() -> bool:
        buried[:] = [letter for letter in await ground.letters() if letter.dead_letter_id not in known]
        return bool(buried)

    async with cleared(case, ground):
        try:
            told(f"{case.name}: put in")
            await case.poison(ground)
            outcome.buried_s = await until("given up", given_up)
            letter = buried[0]
            outcome.reason, outcome.tries = letter.reason, letter.tries
            known.add(letter.dead_letter_id)
            if len(buried) != 1 or letter.consumer != case.consumer or case.reason not in letter.reason:
                raise Missed(f"{letter.consumer} gave it up for another reason: {letter.reason}")
            if letter.tries != case.tries:
                raise Missed(f"given up after {letter.tries} tries, not {case.tries}")
            told(f"{case.name}: given up after {outcome.buried_s:.1f} s, mended, replayed")
            await case.mend(ground)
            outcome.replayed = await ground.replay(letter.dead_letter_id) == 1
            if not outcome.replayed:
                raise Missed("the letter was not replayed")
            if case.mendable:
                await until("the replay taken", lambda: ground.taken(letter))
                outcome.ended_s = await until("success", lambda: case.succeeded(ground))
                outcome.ended = "succeeded"
            else:
                outcome.ended_s = await until("given up again", given_up)
                outcome.ended = "came back, discarded"
                await ground.discard(*(letter.dead_letter_id for letter in buried))
            if left := await ground.letters():
                raise Missed(f"{len(left)} letters are left: {left[0].reason}")
        except Missed as miss:
            outcome.miss = str(miss)
            await ground.discard(*(letter.dead_letter_id for letter in await ground.letters()))
    return outcome


async def drill(clip_paths: list[Path], console: Console) -> list[Outcome]:
    """All cases, one after another."""
    async with grounds.standing() as ground:
        return [await run(case, ground, lambda line: console.print(line, style="dim")) for case in cases(clip_paths)]


def table(outcomes: list[Outcome]) -> Table:
    """How it went, for people."""
    shown = Table("poison", "reason", "tries", "given up\nafter s", "replayed", "then", "after s", "", title="Drill")
    for one in outcomes:
        shown.add_row(
            one.name,
            one.reason,
            str(one.tries),
            _seconds(one.buried_s),
            "yes" if one.replayed else "no",
            one.ended,
            _seconds(one.ended_s),
            f"[red]{one.miss}[/]" if one.miss else "[green]ok[/]",
        )
    return shown


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def main() -> int:
    """Run, print a table, write build/bench/drill.json."""
    parser = argparse.ArgumentParser(prog="python -m bench.drill", description=__doc__)
    parser.add_argument("--data", type=Path, default=clips.DEFAULT_FOLDER, help="shared data (default: %(default)s)")
    arguments = parser.parse_args()
    spoken, _ = clips.found(arguments.data, Home.from_env().root / "speech")
    paths = sorted({clip.path for clip in spoken if clip.language == "vi"}, key=lambda path: path.stat().st_size)
    console = Console()
    outcomes = asyncio.run(drill(paths[:SHORTEST_CLIPS], console))
    console.print(table(outcomes))
    missed = sum(bool(one.miss) for one in outcomes)
    figures: dict[str, report.Figure] = {"cases": len(outcomes), "missed": missed}
    print(f"figures: {report.write('drill', figures)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
