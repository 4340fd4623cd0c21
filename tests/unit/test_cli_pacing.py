"""When pieces of sound are sent, and how late an answer is."""

import asyncio
from collections.abc import Iterator

import av
import numpy as np
import pytest

from clients.cli import pacing, pcm
from clients.cli.pacing import SentLog, paced

CHUNK = bytes(100 * pcm.BYTES_PER_MS)
EARLY_S = 0.005


class Clock:
    """Stands still until somebody waits: then it is at once as late as was waited for."""

    def __init__(self) -> None:
        self.now_s = 0.0

    async def until(self, moment: float, stop: asyncio.Event, clock: pacing.Clock) -> None:
        assert clock() == self.now_s
        self.now_s = max(self.now_s, moment)

    async def times(
        self, chunks: Iterator[bytes], speed: float | None, slow_s: dict[int, float] | None = None
    ) -> list[float]:
        """When each chunk comes to somebody who takes `slow_s` seconds for some of them."""
        seen: list[float] = []
        async for _ in paced(chunks, speed, asyncio.Event()):
            seen.append(self.now_s)
            self.now_s += (slow_s or {}).get(len(seen), 0)
        return seen


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: clock.now_s)
    monkeypatch.setattr(pacing, "_until", clock.until)
    return clock


async def test_a_chunk_is_due_when_its_last_sample_was_spoken(clock: Clock) -> None:
    assert await clock.times(iter([CHUNK] * 4), 1.0) == [0.1, 0.2, 0.3, 0.4]


async def test_a_late_chunk_does_not_delay_the_others(clock: Clock) -> None:
    assert await clock.times(iter([CHUNK] * 5), 1.0, {1: 0.25}) == [0.1, 0.35, 0.35, 0.4, 0.5]


async def test_speed_divides_the_pace_and_a_short_chunk_its_own(clock: Clock) -> None:
    assert await clock.times(iter([CHUNK, CHUNK[: len(CHUNK) // 2]]), 2.0) == [0.05, 0.075]


async def test_without_a_pace_nothing_waits(clock: Clock) -> None:
    assert await clock.times(iter([CHUNK] * 50), None) == [0.0] * 50


async def test_what_is_due_is_waited_for() -> None:
    clock = asyncio.get_running_loop().time
    began = clock()
    seen = [clock() - began async for _ in paced(iter([CHUNK] * 3), 1.0, asyncio.Event())]
    assert all(at >= due - EARLY_S for at, due in zip(seen, [0.1, 0.2, 0.3], strict=True)), seen


async def test_nothing_comes_after_stop() -> None:
    stop, seen = asyncio.Event(), 0
    async for _ in paced(iter([CHUNK] * 100), 1.0, stop):
        seen += 1
        stop.set()
    assert seen == 1


async def test_stop_ends_the_waiting_at_once() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, stop.set)
    async with asyncio.timeout(5):
        assert [chunk async for chunk in paced(iter([CHUNK]), 0.01, stop)] == [], "it would have been due after 10 s"


async def test_an_error_of_the_source_passes_through(clock: Clock) -> None:
    def broken() -> Iterator[bytes]:
        yield CHUNK
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await clock.times(broken(), None)


def test_latency_counts_from_the_chunk_that_holds_the_position() -> None:
    log = SentLog()
    for number in range(1, 4):  # 0-100 ms sent at 1.0 s, 100-200 at 1.1, 200-300 at 1.2
        log.note(len(CHUNK), 0.9 + number / 10)
    assert log.latency_ms(100, 2.0) == 1000
    assert log.latency_ms(101, 2.0) == 900
    assert log.latency_ms(0, 2.0) == 1000
    assert log.latency_ms(9_999, 2.0) == 800, "a position after the end counts as the end"


def test_there_is_no_latency_before_anything_was_sent() -> None:
    assert SentLog().latency_ms(0, 1.0) is None


def test_the_log_does_not_grow_without_end() -> None:
    log = SentLog()
    for number in range(SentLog.REMEMBERED + 10):
        log.note(len(CHUNK), float(number))
    newest_ms = (SentLog.REMEMBERED + 10) * 100
    assert log.latency_ms(newest_ms, SentLog.REMEMBERED + 10.0) == 1000
    assert len(log._ends_ms) == SentLog.REMEMBERED


def test_channels_count_in_the_pace_and_in_the_latency() -> None:
    log = SentLog(2 * pcm.BYTES_PER_MS)
    log.note(2 * len(CHUNK), 1.0)
    log.note(2 * len(CHUNK), 1.1)
    assert [log.latency_ms(position, 2.0) for position in (100, 200)] == [1000, 900]
    assert [len(chunk) for chunk in pcm.cut([bytes(10_000)], 100, channels=2)] == [6400, 3600]


def test_pcm_is_cut_into_equal_chunks_and_a_rest() -> None:
    pieces = [bytes(3000), bytes(5000), b"", bytes(100)]
    assert [len(chunk) for chunk in pcm.cut(pieces, 100)] == [3200, 3200, 1700]
    assert list(pcm.cut([], 100)) == []


def frame(rate: int, channels: int) -> av.AudioFrame:
    """One second of 16-bit samples."""
    layout = {1: "mono", 2: "stereo"}[channels]
    made = av.AudioFrame.from_ndarray(np.full((1, rate * channels), 1_000, np.int16), format="s16", layout=layout)
    made.sample_rate = rate
    return made


@pytest.mark.parametrize("channels", [1, 2])
def test_sound_that_changes_its_rate_and_its_channels_midway_is_heard_to_its_end(channels: int) -> None:
    frames = [frame(48_000, 2), frame(48_000, 2), frame(44_100, 1), frame(16_000, 1)]
    sound = b"".join(pcm.from_frames(frames, channels))
    assert len(sound) == pytest.approx(4 * 1_000 * channels * pcm.BYTES_PER_MS, rel=0.01)
