"""Does a session survive? Its server is killed in mid-sentence, 20 times in a row; then its line is cut for 10 s.

What it tells is compared with an undisturbed session of the same sound. `make bench-resume` runs it on the mesh of
`make up`, which should have nothing else to do.
"""

import argparse
import asyncio
import os
import random
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from bench import replicas, report, scripts, voices
from bench.continuity import Difference, changed, changes_by_stretch, difference
from bench.ground import Ground
from bench.proxy import TcpProxy, proxied
from bench.resuming import Clock, Heard, connecting, speak
from bench.scoring import word_changes
from bench.scripts import Script, Turn
from bench.spread import Spread
from bench.voices import Voice
from clients.cli.live_stream import Resumption

SPEECH_MS = (4_000, 9_000)
"""How long the turns are that are disturbed: there is a mid-sentence, and the next comes soon."""
PAUSE_MS = 2_500
CUT_S = 10.0
CUTS = 3
LIMIT_WORDS = 1
"""Words that may change at each join."""

Disturbance = Callable[[int], Awaitable[None]]
"""Called in mid-sentence, with a count from 0."""


@dataclass(frozen=True)
class Trial:
    """One disturbed session beside the undisturbed one."""

    name: str
    disturbances: int
    heard: Heard
    difference: Difference
    """Of the finals as they came."""
    changed_by_join: Sequence[int]
    """Words changed, by the join in whose turn they were said. Each turn has one, and the last, which is not disturbed,
    belongs to the join before it."""
    words_left_otherwise: int
    """Words changed in the text as refinements left it."""

    @property
    def resumed_after(self) -> Spread:
        """Seconds from noticing a loss until the session went on."""
        return Spread.of(resumption.after_s for resumption in self.heard.resumptions)

    @property
    def survived(self) -> bool:
        """Whether every loss was resumed, no final is lost or doubled, and at most a word changed at each join."""
        lossless = not self.difference.lost and not self.difference.doubled
        resumed = len(self.heard.resumptions) >= self.disturbances
        return resumed and lossless and max(self.changed_by_join, default=0) <= LIMIT_WORDS


def script(said: Sequence[Voice], turns: int, pause_ms: int, seed: int) -> Script:
    """So many turns of one language and of middle length, and one more that ends the session."""
    shortest, longest = SPEECH_MS
    fit = [voice for voice in said if shortest <= voice.speech_end_ms - voice.speech_start_ms <= longest]
    language = scripts.shared_out(fit, 1)[0]
    deck = [voice for voice in fit if voice.clip.language == language]
    random.Random(seed).shuffle(deck)
    placed: list[Turn] = []
    for number in range(turns + 1):
        start = placed[-1].end_ms + pause_ms if placed else pause_ms
        placed.append(Turn(deck[number % len(deck)], start))
    return Script(language, tuple(placed), placed[-1].end_ms + pause_ms)


def moments(played: Script, seed: int) -> Iterator[float]:
    """Where in each turn but the last it is disturbed: somewhere in the middle half of its speech."""
    chance = random.Random(seed)
    for turn in played.whole_turns:
        spoken = turn.speech_end_ms - turn.speech_start_ms
        yield turn.speech_start_ms + spoken * chance.uniform(0.25, 0.75)


class ResumeBench:
    """One run."""

    def __init__(self, ground: Ground, options: argparse.Namespace, console: Console) -> None:
        self._ground = ground
        self._options = options
        self._console = console
        self._said = voices.ready(ground.clips())

    async def run(self) -> list[Trial]:
        """Both trials, each with a sound of its own."""
        kills, seed = self._options.kills, self._options.seed
        killed = script(self._said, kills, PAUSE_MS, seed)
        cut = script(self._said, CUTS, PAUSE_MS + round(CUT_S * 1000), seed)
        async with proxied(self._ground.target) as proxy:
            return [
                await self._trial("kill -9", killed, self._ground.target, self._kill),
                await self._trial("cut", cut, proxy.address, lambda n: self._cut(proxy, n)),
            ]

    async def _trial(self, name: str, played: Script, target: str, disturb: Disturbance) -> Trial:
        minutes = 2 * played.length_ms / 60_000
        self._console.print(f"[bold]{name}[/]: {len(played.whole_turns)} times, {minutes:.1f} minutes")
        undisturbed = await self._spoken(played, self._ground.target, None)
        disturbed = await self._spoken(played, target, disturb)
        for said, heard in changed(undisturbed.finals, disturbed.finals):
            self._console.print(f"    [dim]{said!r} became {heard!r}[/]")
        return Trial(
            name,
            len(played.whole_turns),
            disturbed,
            difference(undisturbed.finals, disturbed.finals),
            changes_by_stretch(undisturbed.finals, disturbed.finals, [turn.start_ms for turn in played.whole_turns]),
            word_changes(undisturbed.text, disturbed.text),
        )

    async def _spoken(self, played: Script, target: str, disturb: Disturbance | None) -> Heard:
        """The session, and what disturbs it. Raises Problem when it is lost, and what goes wrong in disturbing it."""
        clock = Clock()
        connect, chunk_ms = connecting(os.environ, target), self._options.chunk_ms
        async with asyncio.TaskGroup() as group:
            session = group.create_task(speak(connect, played, clock, chunk_ms, self._tell))
            if disturb is not None:
                group.create_task(self._disturb(disturb, played, clock))
        return session.result()

    async def _disturb(self, disturb: Disturbance, played: Script, clock: Clock) -> None:
        await clock.begun.wait()
        for count, moment in enumerate(moments(played, self._options.seed)):
            await clock.until(moment)
            await disturb(count)

    async def _kill(self, count: int) -> None:
        found = await asyncio.to_thread(replicas.serving, self._ground.ports)
        if len(found) != 1:
            raise RuntimeError(f"one replica should have the one session, but {found or 'none'} has")
        self._console.print(f"  kill -9 {found[0]}, {count + 1} of {self._options.kills}")
        await asyncio.to_thread(replicas.kill, self._ground.home, self._ground.ports, found[0])

    async def _cut(self, proxy: TcpProxy, count: int) -> None:
        silently = count % 2 == 1
        self._console.print(f"  the line is cut for {CUT_S:.0f} s{', silently' if silently else ''}")
        await proxy.cut_for(CUT_S, silently)

    def _tell(self, resumption: Resumption) -> None:
        anew = "; the session was forgotten, a new one goes on" if resumption.is_anew else ""
        missing = f"; {resumption.missing_ms} ms of sound are missing" if resumption.missing_ms else ""
        self._console.print(f"    resumed after {resumption.after_s:.2f} s{anew}{missing}")


def shown(trials: Sequence[Trial]) -> Table:
    """The trials as a table."""
    table = Table(
        "what", "times", "resumed", "after s\np50 / p95", "finals", "lost", "doubled", "words changed",
        "most at\none join", "changed after\nrefinement", "survived",
    )  # fmt: skip
    for trial in trials:
        after, seen = trial.resumed_after, trial.difference
        table.add_row(
            trial.name,
            str(trial.disturbances),
            str(len(trial.heard.resumptions)),
            f"{after.p50:.2f} / {after.p95:.2f}",
            str(len(trial.heard.finals)),
            str(seen.lost),
            str(seen.doubled),
            f"{seen.words_changed} of {seen.words}",
            str(max(trial.changed_by_join, default=0)),
            str(trial.words_left_otherwise),
            "[green]yes[/]" if trial.survived else "[red]no[/]",
        )
    return table


def figures(trials: Sequence[Trial]) -> dict[str, report.Figure]:
    """Of all trials together."""
    found: dict[str, report.Figure] = {
        "resumes_tried": sum(trial.disturbances for trial in trials),
        "resumes_done": sum(len(trial.heard.resumptions) for trial in trials),
        "finals_lost": sum(trial.difference.lost for trial in trials),
        "finals_doubled": sum(trial.difference.doubled for trial in trials),
        "words_changed": sum(trial.difference.words_changed for trial in trials),
        "words_changed_at_worst_join": max(max(trial.changed_by_join, default=0) for trial in trials),
        "words_changed_after_refinement": sum(trial.words_left_otherwise for trial in trials),
        "words_spoken": sum(trial.difference.words for trial in trials),
    }
    for trial in trials:
        found[f"resumed_after_p95_s_{trial.name.split()[0]}"] = round(trial.resumed_after.p95, 2)
    return found


def main() -> int:
    """Run, print a table, add the figures to build/bench/asr.json; 1 when a session did not survive whole."""
    parser = argparse.ArgumentParser(prog="python -m bench.resume", description=__doc__)
    Ground.add_arguments(parser)
    parser.add_argument("--kills", type=int, default=20, help="how often a server is killed (default: %(default)s)")
    parser.add_argument("--chunk-ms", type=int, default=100, help="audio in one message (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other moments (default: %(default)s)")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 170)
    trials = asyncio.run(ResumeBench(Ground.of(options), options, console).run())
    console.print(shown(trials))
    console.print(f"figures: {report.merge('asr', figures(trials))}")
    return 0 if all(trial.survived for trial in trials) else 1


if __name__ == "__main__":
    sys.exit(main())
