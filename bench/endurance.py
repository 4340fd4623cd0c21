"""A session of two hours at ten times the pace: does the memory of its server stay flat, and are its finals as soon?

`make bench-endurance` runs it on the mesh of `make up`, which should have nothing else to do; it takes 12 minutes.
"""

import argparse
import asyncio
import bisect
import math
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from rich.console import Console

from bench import replicas, report, scripts, voices
from bench.ground import Ground
from bench.resuming import Clock, Heard, connecting, speak

T = TypeVar("T")

LOOK_S = 5.0
FOUND_WITHIN_S = 30
CHUNK_MS = 400
FLAT = 0.1
"""How much memory may differ between the second tenth of the session and any later one."""


@dataclass(frozen=True)
class Tenths:
    """A value in each tenth of the session: its median."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, seen: Sequence[tuple[float, float]], begin: float, end: float) -> "Tenths":
        """Of (moment, value) pairs; NaN for a tenth in which nothing was seen."""
        width = (end - begin) / 10
        parts: list[list[float]] = [[] for _ in range(10)]
        for moment, value in seen:
            if begin <= moment <= end and not math.isnan(value):
                parts[min(9, int((moment - begin) / width))].append(value)
        return cls(tuple(statistics.median(part) if part else math.nan for part in parts))

    @property
    def start(self) -> float:
        """In the second tenth: in the first, caches fill."""
        return self.values[1]

    @property
    def last(self) -> float:
        """In the last tenth."""
        return self.values[-1]

    @property
    def drift(self) -> float:
        """The largest difference from the second tenth in any later one, as a share of it; NaN if one has no value."""
        drifts = [abs(value / self.start - 1) for value in self.values[1:]]
        return math.nan if any(map(math.isnan, drifts)) else max(drifts)


def latencies_ms(clock: Clock, heard: Heard) -> list[tuple[float, float]]:
    """For each final when it came, and how long after the sound of its end was handed over."""
    ends = [end for end, _ in clock.handed_over]
    found = []
    for at, final in zip(heard.came_at, heard.finals, strict=True):
        place = min(bisect.bisect_left(ends, final.end_ms), len(ends) - 1)
        found.append((at, 1000 * (at - clock.handed_over[place][1])))
    return found


class Unwatchable(Exception):
    """It cannot be told which replica has the session."""


async def beside(work: Awaitable[T], watcher: Awaitable[NoReturn]) -> T:
    """What comes of the work. The watcher, which has no end, is stopped with it; when it fails, the work is given up,
    and what it failed with is raised."""
    working, watching = asyncio.ensure_future(work), asyncio.ensure_future(watcher)
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            watching.result()
        return working.result()
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _watched(ground: Ground, seen: list[tuple[float, float]]) -> NoReturn:
    """Notes the memory of the replica that has the session, now and then, for ever. Raises Unwatchable."""
    found: list[str] = []
    for _ in range(FOUND_WITHIN_S):
        await asyncio.sleep(1)
        found = await asyncio.to_thread(replicas.serving, ground.ports)
        if len(found) == 1:
            break
    else:
        have = f"{' and '.join(found)} have sessions" if found else "no replica has a session"
        raise Unwatchable(f"{have}: there should be one, and the mesh should have nothing else to do")
    while True:
        seen.append((time.monotonic(), replicas.memory_mib(ground.home, found[0])))
        await asyncio.sleep(LOOK_S)


async def _run(ground: Ground, hours: float, speed: float, seed: int) -> tuple[Tenths, Tenths, int, float]:
    """Memory in MiB, latency in ms, how many finals, and how many seconds it took."""
    said = [voice for voice in voices.ready(ground.clips()) if voice.clip.language == "en"]
    (script,) = scripts.conversations(said, 1, seed, [round(hours * 3_600_000)])
    clock, memory = Clock(speed), list[tuple[float, float]]()
    speaking = speak(connecting(os.environ, ground.target), script, clock, CHUNK_MS, lambda _: None)
    heard = await beside(speaking, _watched(ground, memory))
    end = time.monotonic()
    times = Tenths.of(latencies_ms(clock, heard), clock.began, end)
    return Tenths.of(memory, clock.began, end), times, len(heard.finals), end - clock.began


def main() -> int:
    """Run, print, add the figures to build/bench/asr.json; 1 when memory was not flat, or not seen."""
    parser = argparse.ArgumentParser(prog="python -m bench.endurance", description=__doc__)
    Ground.add_arguments(parser)
    parser.add_argument("--hours", type=float, default=2.0, help="length of the sound (default: %(default)s)")
    parser.add_argument("--speed", type=float, default=10.0, help="times the pace of speech (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    console, ground = Console(width=None if sys.stdout.isatty() else 170), Ground.of(options)
    minutes = options.hours * 60 / options.speed
    console.print(f"{options.hours:g} hours of sound at {options.speed:g} times the pace: {minutes:.0f} minutes")
    memory, latency, finals, took_s = asyncio.run(_run(ground, options.hours, options.speed, options.seed))
    console.print(f"{finals} finals in {took_s:.0f} s")
    console.print("memory of the server, MiB, by tenths: " + ", ".join(f"{value:.0f}" for value in memory.values))
    console.print("final after its sound, ms, by tenths: " + ", ".join(f"{value:.0f}" for value in latency.values))
    if math.isnan(memory.drift):
        console.print("the memory was not seen in every tenth of the session: no figures are kept")
        return 1
    path = report.merge(
        "asr",
        {
            "endurance_hours": options.hours,
            "endurance_finals": finals,
            "endurance_memory_mib_start": round(memory.start, 1),
            "endurance_memory_mib_end": round(memory.last, 1),
            "endurance_memory_drift": round(memory.drift, 4),
            "endurance_latency_p50_ms_start": round(latency.start, 1),
            "endurance_latency_p50_ms_end": round(latency.last, 1),
        },
    )
    console.print(f"figures: {path}")
    return 0 if memory.drift <= FLAT else 1


if __name__ == "__main__":
    sys.exit(main())
