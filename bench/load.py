"""Many speakers at once over the edge, from processes of their own; and what the mesh used meanwhile."""

import asyncio
import gc
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from types import TracebackType

import grpc

from bench import scripts
from bench.scripts import Script
from bench.speaker import Manner, Take, speak, speak_each
from bench.usage import Meter, Usage
from bench.voices import Voice
from mesh.home import Home

SPEAKERS_A_PROCESS = 32
RAMP_S = 0.2
"""Between two arrivals."""
LEAD_S = 1.0
"""From the order to the first arrival: the sound has to reach the processes."""
TAIL_S = 3.0
REST_S = 10.0
"""After a round, so that the load of one does not count for the admission of the next."""


class NotAdmitted(Exception):
    """The mesh takes no session; the message says what it answers."""


@dataclass(frozen=True)
class Part:
    """What one process is told of one speaker."""

    begin_at: float
    sound: bytes
    manner: Manner


@dataclass(frozen=True)
class Round:
    """N speakers, for a while."""

    scripts: list[Script]
    takes: list[Take]
    window: tuple[float, float]
    """When all of them were there."""
    usage: Usage
    generator_cores: float
    """Cores that the speakers themselves used on average."""


class Generator:
    """Speakers in processes of their own, so that they share nothing with what measures."""

    def __init__(self, target: str, token: str, home: Home, chunk_ms: int, stored: bool = False) -> None:
        self._target = target
        self._token = token
        self._home = home
        self._chunk_ms = chunk_ms
        self._stored = stored
        self._background = scripts.room()

    def __enter__(self) -> "Generator":
        self._pool = ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def await_admission(self) -> None:
        """Returns when the mesh takes sessions. Raises NotAdmitted."""
        nothing = [(scripts.rendered((), 0, 200, self._background), Manner("en", paced=False))]
        (take,) = asyncio.run(speak_each(self._target, self._token, nothing, 1, lambda: None))
        if take.ending:
            raise NotAdmitted(f"the mesh takes no session, though nobody speaks: {take.ending}")

    def round(self, voices: Sequence[Voice], speakers: int, seconds: float, seed: int) -> Round:
        """`speakers` arrive one after the other, and all speak for `seconds`."""
        arrivals = [index * RAMP_S for index in range(speakers)]
        until = [round((arrivals[-1] + RAMP_S - arrival + seconds) * 1000) for arrival in arrivals]
        conversations = scripts.conversations(voices, speakers, seed, until)
        sounds = [scripts.rendered(script.turns, 0, script.length_ms, self._background) for script in conversations]
        begin = time.monotonic() + LEAD_S
        parts = [
            Part(begin + arrival, sound, Manner(script.language, self._chunk_ms, stored=self._stored))
            for arrival, sound, script in zip(arrivals, sounds, conversations, strict=True)
        ]
        window = (begin + arrivals[-1] + RAMP_S, begin + arrivals[-1] + RAMP_S + seconds)
        takes, cpu_s, usage = self._perform(parts, window)
        return Round(conversations, takes, window, usage, cpu_s / (seconds + arrivals[-1] + TAIL_S))

    def _perform(self, parts: list[Part], window: tuple[float, float]) -> tuple[list[Take], float, Usage]:
        groups = [parts[first : first + SPEAKERS_A_PROCESS] for first in range(0, len(parts), SPEAKERS_A_PROCESS)]
        with Meter(self._home, window) as meter:
            told = [self._pool.submit(perform, self._target, self._token, group) for group in groups]
            performed = [future.result() for future in told]
        return [take for takes, _ in performed for take in takes], sum(cpu for _, cpu in performed), meter.usage


def perform(target: str, token: str, parts: Sequence[Part]) -> tuple[list[Take], float]:
    """Runs some speakers in this process; returns their takes, and the CPU seconds that it took."""
    gc.collect()
    gc.freeze()  # the pauses of a collector that looks through all modules would count as delays of what is measured
    used = time.process_time()
    takes = asyncio.run(_perform(target, token, parts))
    return takes, time.process_time() - used


async def _perform(target: str, token: str, parts: Sequence[Part]) -> list[Take]:
    return list(await asyncio.gather(*(_speak_at(target, token, part) for part in parts)))


async def _speak_at(target: str, token: str, part: Part) -> Take:
    """Each speaker has a connection of its own, as people have."""
    own = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    async with grpc.aio.insecure_channel(target, own) as channel:
        await asyncio.sleep(part.begin_at - asyncio.get_running_loop().time())
        return await speak(channel, token, part.sound, part.manner)
