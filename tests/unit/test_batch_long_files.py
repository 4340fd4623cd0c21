"""Files of hours: whatever is in them, no more than some minutes of sound lie in memory, and no chunk is too long."""

import itertools
import tracemalloc
import uuid
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from servers.asr.audio import SAMPLE_RATE, Samples
from servers.asr.batch.hearing import Hearing
from servers.asr.batch.library import MOST_SEGMENTS
from servers.asr.batch.media import PIECE, decoded
from servers.asr.batch.operations import NewOperation, of_upload
from servers.asr.batch.progress import FileState, Job, Progress
from servers.asr.batch.rounds import Round, rounds
from servers.asr.batch.segmenting import PAUSE_MS
from servers.asr.batch.settings import Settings
from servers.asr.batch.transcription import Tools, Transcriber
from tests.fakes.batch import Loudness, Shelf, Silent
from tests.fakes.detectors import LevelDetector
from tests.fakes.operation_store import MemoryOperations

CHUNKS: int = Settings.model_fields["chunks_a_round"].default
LONGEST_CHUNK_S = 28.5
MOST_HELD_S = 2.5 * CHUNKS * LONGEST_CHUNK_S
"""The chunks of a round, the sound that is not cut yet, and copies of either on their way."""
HOUR_S = 3600.0

Stretches = tuple[tuple[float, float], ...]
SILENCE: Stretches = ((0.0, 10.0),)
NOISE: Stretches = ((0.15, 10.0),)
"""Never quite a voice: LevelDetector gives it 0.3."""
NO_PAUSE: Stretches = ((0.5, 7.0), (0.4, 0.5))
TALK: Stretches = ((0.5, 6.0), (0.0, 1.0), (0.4, 3.0), (0.0, 4.0))
CLICKS: Stretches = ((0.5, 0.03), (0.0, 0.3))


async def played(stretches: Stretches, seconds: float) -> AsyncIterator[Samples]:
    """The stretches of (loudness, seconds) again and again, in pieces as they are decoded, each made as it is asked
    for."""
    sound = np.concatenate([np.full(int(s * SAMPLE_RATE), loud, np.float32) for loud, s in stretches])
    for begin in range(0, int(seconds * SAMPLE_RATE), PIECE):
        yield np.resize(np.roll(sound, -begin % -len(sound)), min(PIECE, int(seconds * SAMPLE_RATE) - begin))


@dataclass
class Held:
    """How much sound there was in memory at most, in seconds."""

    seconds: float = 0.0


@contextmanager
def measured() -> Iterator[Held]:
    """What numpy holds in the block more than before it."""
    held = Held()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    try:
        yield held
        held.seconds = (tracemalloc.get_traced_memory()[1] - before) / 4 / SAMPLE_RATE
    finally:
        tracemalloc.stop()


async def shape(stretches: Stretches, seconds: float) -> list[tuple[list[tuple[int, int]], int]]:
    """Of each round where its chunks begin and end, and where it ends; the sound itself is let go."""
    shapes = []
    async for found in rounds(played(stretches, seconds), LevelDetector, 0, CHUNKS):
        shapes.append(_shape(found))
        del found
    return shapes


def _shape(found: Round) -> tuple[list[tuple[int, int]], int]:
    return [(chunk.start, chunk.start + len(chunk.audio)) for chunk in found.chunks], found.end


@pytest.mark.parametrize(
    ("stretches", "hours"), [(TALK, 2.0), (NO_PAUSE, 1.0), (SILENCE, 2.0), (NOISE, 1.0), (CLICKS, 1.0)]
)
async def test_of_hours_some_minutes_lie_in_memory_and_each_chunk_fits_whisper(
    stretches: Stretches, hours: float
) -> None:
    with measured() as held:
        found = await shape(stretches, hours * HOUR_S)
    assert held.seconds < MOST_HELD_S
    assert found[-1][1] == int(hours * HOUR_S) * SAMPLE_RATE
    assert all(len(spans) <= CHUNKS for spans, _ in found)
    chunks = [span for spans, _ in found for span in spans]
    assert all(0 < end - begin <= LONGEST_CHUNK_S * SAMPLE_RATE for begin, end in chunks)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(chunks))


async def test_the_measure_sees_what_is_held() -> None:
    with measured() as held:
        kept = [piece async for piece in played(TALK, HOUR_S)]
    assert held.seconds > 3000
    assert len(kept) == HOUR_S / 30


async def test_of_speech_without_a_pause_nothing_is_lost() -> None:
    chunks = [span for spans, _ in await shape(NO_PAUSE, 600.0) for span in spans]
    assert (chunks[0][0], chunks[-1][1]) == (0, 600 * SAMPLE_RATE)
    assert all(one[1] == other[0] for one, other in itertools.pairwise(chunks))
    assert 600 / LONGEST_CHUNK_S <= len(chunks) <= 600 / 13


@pytest.mark.parametrize("stretches", [SILENCE, NOISE, CLICKS])
async def test_an_hour_without_speech_is_gone_through_in_rounds_of_some_minutes(stretches: Stretches) -> None:
    found = await shape(stretches, HOUR_S)
    ends = [0, *(end for _, end in found)]
    assert all(not spans for spans, _ in found)
    assert max(other - one for one, other in itertools.pairwise(ends)) < 400 * SAMPLE_RATE


@dataclass
class Notes(MemoryOperations):
    """Keeps all that was noted of how far a file has come, in percent."""

    percents: list[int] = field(default_factory=list)

    async def advance(self, job: Job, progress: Progress) -> bool:
        self.percents.append(progress.done_ms * 100 // progress.duration_ms)
        return await super().advance(job, progress)


class Tape:
    """A Media of two hours of talk."""

    @asynccontextmanager
    async def opened(self, object_key: str) -> AsyncIterator[AsyncIterator[Samples]]:
        yield played(TALK, 2 * HOUR_S)


@dataclass
class Forgetful(Loudness):
    """Keeps no audio, as the real one."""

    count: int = 0

    async def recognize(self, request):  # type: ignore[no-untyped-def]
        self.count += 1
        answer = await super().recognize(request)
        self.asked.clear()
        return answer


async def test_two_hours_are_transcribed_step_by_step_with_some_minutes_in_memory() -> None:
    recording = str(uuid.UUID(int=7))
    job = Job("acme", "lan", of_upload(recording), recording)
    ledger, shelf, recognizer = Notes(), Shelf(), Forgetful()
    shelf.recording_ = type(shelf.recording_)("key", "vi", int(2 * HOUR_S * 1000))
    await ledger.add("acme", NewOperation(job.operation_id, "lan", "", [recording]), [])
    tools = Tools(ledger, shelf, Tape(), Hearing(recognizer, Silent()), LevelDetector, CHUNKS)
    with measured() as held:
        await Transcriber(tools, frozenset({"vi"}), 1, 600.0).transcribe(job)
    file = ledger.file(job)
    assert file is not None
    assert (file.state, file.progress.done_ms) == (FileState.SUCCEEDED, 2 * HOUR_S * 1000)
    assert file.progress.segment_count == len(shelf.segments) >= recognizer.count > 200
    assert held.seconds < MOST_HELD_S + 200, "and the segments"
    steps = [other - one for one, other in itertools.pairwise([0, *ledger.percents])]
    assert min(steps) >= 0
    assert max(steps) <= 6, "a caller sees it go on"
    assert ledger.percents[-1] == 100


def test_a_file_is_decoded_as_it_is_asked_for(tmp_path: Path) -> None:
    path, seconds = tmp_path / "long.wav", 1200
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        for second in range(seconds):
            file.writeframes(np.full(8000, second, "<i2").tobytes())
    with measured() as held:
        lengths = [len(piece) for piece in decoded(path)]
    assert sum(lengths) == pytest.approx(seconds * SAMPLE_RATE, abs=100)
    assert held.seconds < 5 * PIECE / SAMPLE_RATE


def test_all_that_is_said_in_a_round_is_stored_by_one_call() -> None:
    """Who goes on with a file takes a round of which anything is stored for stored as a whole."""
    (most_chunks,) = (bound.le for bound in Settings.model_fields["chunks_a_round"].metadata if hasattr(bound, "le"))
    assert most_chunks * LONGEST_CHUNK_S * 1000 / PAUSE_MS <= MOST_SEGMENTS
