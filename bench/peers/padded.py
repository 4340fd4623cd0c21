"""The classic speech server: each utterance, when it has ended, goes to faster-whisper, which pads it to 30 s.

It runs in a process of its own while the mesh is idle. Where utterances end is worked out before, by the same rules as
the mesh's, so that the peer's cores do nothing but transcribe; it decodes greedily, without partials. All of this
favours the peer.
"""

import multiprocessing
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from faster_whisper import WhisperModel

from bench import scripts, voices
from bench.spread import Spread
from bench.voices import SAMPLES_PER_MS, Pcm, Voice

PADDING_MS = 200
"""Audio around an utterance that goes to the model with it."""
LONG_MS = 2_000
DRAIN_S = 8.0
"""How long the last utterances may take; those that are not done then count as done then."""


@dataclass(frozen=True)
class Silences:
    """After how much silence an utterance has ended, in milliseconds."""

    short_ms: int
    long_ms: int
    """The same for an utterance of at least `LONG_MS`."""


@dataclass(frozen=True)
class Job:
    """One utterance; moments in seconds since the beginning."""

    ended_s: float
    """When its speech ended."""
    known_s: float
    """When the endpoint's silence was over."""
    pcm: Pcm
    language: str


@dataclass(frozen=True)
class Workers:
    """How the two cores are used."""

    count: int
    threads: int

    def __str__(self) -> str:
        return f"{self.count} x {self.threads} thread{'s' if self.threads > 1 else ''}"


LAYOUTS = (Workers(1, 2), Workers(2, 1))
"""One transcription at a time on both cores, or two at a time on one each."""


def utterances(regions: Sequence[tuple[int, int]], silences: Silences) -> Iterator[tuple[int, int, int]]:
    """Joins regions of voice to utterances: where each begins, where it ends, and where that is known."""
    open_ = regions[0] if regions else None
    for region in [*regions[1:], None]:
        if open_ is None:
            return
        start, end = open_
        patience = silences.long_ms if end - start >= LONG_MS else silences.short_ms
        if region is not None and region[0] - end < patience:
            open_ = start, region[1]
        else:
            yield start, end, end + patience
            open_ = region


def jobs(said: Sequence[Voice], speakers: int, seconds: float, silences: Silences, seed: int) -> list[Job]:
    """The utterances that the same speakers would say to the mesh, in the order of their ends."""
    room, found = scripts.room(), []
    for script in scripts.conversations(said, speakers, seed, [round(seconds * 1000)] * speakers):
        pcm = np.frombuffer(scripts.rendered(script.turns, 0, script.length_ms, room), "<i2")
        for start, end, known in utterances(voices.regions(pcm, silence_ms=32), silences):
            if known < seconds * 1000:
                audio = pcm[max(0, start - PADDING_MS) * SAMPLES_PER_MS : (end + PADDING_MS) * SAMPLES_PER_MS]
                found.append(Job(end / 1000, known / 1000, audio, script.language))
    return sorted(found, key=lambda job: job.known_s)


def round_(weights: Path, work: Sequence[Job], workers: Workers) -> Spread:
    """From the end of speech to the text, in milliseconds, when the jobs come at their moments."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return Spread.of(process.submit(serve, weights, list(work), workers).result())


def serve(weights: Path, work: list[Job], workers: Workers) -> list[float]:
    """Serves the jobs at their moments; milliseconds from the end of each one's speech to its text."""
    whisper = WhisperModel(
        str(weights), device="cpu", compute_type="int8", cpu_threads=workers.threads, num_workers=workers.count
    )
    for _ in range(workers.count):
        transcribe(whisper, work[0])  # what is done once for all is no latency
    waiting: queue.Queue[tuple[int, Job] | None] = queue.Queue()
    done = [work[-1].known_s + DRAIN_S] * len(work)
    began = time.monotonic()

    def work_off() -> None:
        while (taken := waiting.get()) is not None:
            number, job = taken
            if time.monotonic() - began < work[-1].known_s + DRAIN_S:
                transcribe(whisper, job)
                done[number] = time.monotonic() - began

    threads = [threading.Thread(target=work_off) for _ in range(workers.count)]
    for thread in threads:
        thread.start()
    for number, job in enumerate(work):
        time.sleep(max(0.0, began + job.known_s - time.monotonic()))
        waiting.put((number, job))
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.join()
    return [1000 * (moment - job.ended_s) for moment, job in zip(done, work, strict=True)]


def transcribe(whisper: WhisperModel, job: Job) -> str:
    """The text of one utterance, decoded greedily in one go."""
    segments, _ = whisper.transcribe(
        job.pcm.astype(np.float32) / 32768.0,
        language=job.language,
        beam_size=1,
        temperature=0.0,
        condition_on_previous_text=False,
        without_timestamps=True,
    )
    return " ".join(segment.text for segment in segments)
