"""One source against a real server: what ends its stream, and what is said when that is too early."""

import asyncio
import functools
import time
from collections.abc import Iterator

import pytest

from clients.cli import pcm
from clients.cli.connection import Connect, connected
from clients.cli.live_stream import Resumption
from clients.cli.problem import Problem
from clients.cli.refusal import Refusal
from clients.cli.setup import Setup
from clients.cli.stream import Heard, SpeechStream
from clients.cli.tally import Tally
from clients.cli.wish import Wish
from servers.common import errors
from tests.fakes.recognizers import come_true
from tests.rpc.cli_edge import TOKEN, Edge, serving
from tests.rpc.cli_speech import Act, Speech


class Sound:
    """A source of `count` chunks of silence that then fails, if it is told to."""

    is_live = False
    title = ""
    duration_ms = None
    channels = 1

    def __init__(self, count: int, fails: Problem | None = None) -> None:
        self.count = count
        self.fails = fails
        self.given = 0
        self.given_at_s: list[float] = []
        """When each chunk was asked for, on the clock of the event loop: it is sent after that."""

    def chunks(self, chunk_ms: int) -> Iterator[bytes]:
        for _ in range(self.count):
            self.given += 1
            self.given_at_s.append(time.monotonic())
            yield bytes(chunk_ms * pcm.BYTES_PER_MS)
        if self.fails is not None:
            raise self.fails


@pytest.fixture
def edge() -> Iterator[Edge]:
    with serving() as running:
        yield running


@pytest.fixture
def connect(edge: Edge) -> Connect:
    setup = Setup.read({"AI2TEXT_ENDPOINT": edge.address, "AI2TEXT_TOKEN": TOKEN, "USER": "lan"})
    return functools.partial(connected, setup)


async def test_all_audio_arrives_and_everything_is_shown(edge: Edge, connect: Connect) -> None:
    edge.speech.final_every_ms = 30_000
    tally = Tally()
    await SpeechStream(connect, Wish(language_code="vi")).unpaced(Sound(120), tally.keep)
    assert edge.speech.received_ms == 120_000
    assert [final.end_ms for final in tally.finals] == [30_000, 60_000, 90_000, 120_000]
    assert tally.processed_ms == 120_000


async def test_a_slow_server_holds_the_source_back(edge: Edge, connect: Connect) -> None:
    edge.speech.always = Act(hang_after_ms=1_000)
    source = Sound(10_000)  # 320 MB
    with pytest.raises(Problem, match="no progress"):
        await SpeechStream(connect, Wish(), patience_s=0, stalled_after_s=0.5).unpaced(source, Tally().keep)
    assert source.given < 1000, "what the server does not read stays with the source"


async def test_stop_half_closes_and_the_last_final_still_comes(edge: Edge, connect: Connect) -> None:
    stream, tally = SpeechStream(connect, Wish()), Tally()

    async def stop_when_heard() -> None:
        await come_true(lambda: edge.speech.received_ms >= 100)
        stream.stop.set()

    async with asyncio.timeout(30):
        await asyncio.gather(stream.live(Sound(1000), tally.keep), stop_when_heard())
    assert edge.speech.half_closed
    assert 100 <= edge.speech.received_ms <= 10_000, "of the 100 s that there are"
    assert len(tally.finals) == 1


async def test_a_source_that_fails_is_what_went_wrong_but_its_words_are_kept(edge: Edge, connect: Connect) -> None:
    tally = Tally()
    with pytest.raises(Problem, match="the disk is gone"):
        await SpeechStream(connect, Wish()).unpaced(Sound(2, Problem("the disk is gone")), tally.keep)
    assert (edge.speech.half_closed, len(tally.finals)) == (True, 1)


async def test_a_server_that_says_nothing_is_given_up(edge: Edge, connect: Connect) -> None:
    edge.speech.always = Act(hang_after_ms=-1)
    with pytest.raises(Problem, match=r"no progress for 0\.5 s"):
        await SpeechStream(connect, Wish(), stalled_after_s=0.5).live(Sound(1), Tally().keep)


async def test_a_refusal_ends_the_sending(edge: Edge, connect: Connect) -> None:
    edge.speech.always = Act(refuse=errors.Overloaded("this server is full"))
    began = asyncio.get_running_loop().time()
    with pytest.raises(Refusal) as refused:
        await SpeechStream(connect, Wish()).live(Sound(1000), Tally().keep)
    assert (refused.value.details.reason, refused.value.details.retry_after_s) == ("OVERLOADED", 1.0)
    assert asyncio.get_running_loop().time() - began < 20, "the sound lasts for 100 s"


async def test_a_server_that_is_soon_back_is_waited_for(edge: Edge, connect: Connect) -> None:
    edge.speech.acts = [Act(refuse=errors.Draining("this server is shutting down"))] * 2
    tally = Tally()
    await SpeechStream(connect, Wish()).unpaced(Sound(3), tally.keep)
    assert (edge.speech.received_ms, len(tally.finals)) == (3_000, 1)
    assert len(edge.speech.configs) == 3


async def test_what_can_wait_waits_for_a_server_that_is_full(edge: Edge, connect: Connect) -> None:
    edge.speech.acts = [Act(refuse=errors.Overloaded("this server is full"))]
    tally = Tally()
    await SpeechStream(connect, Wish()).unpaced(Sound(3), tally.keep)
    assert (edge.speech.received_ms, len(tally.finals)) == (3_000, 1)


async def test_what_can_wait_is_not_sent_further_than_it_could_be_resumed(edge: Edge, connect: Connect) -> None:
    edge.speech.final_every_ms = 1_000
    edge.speech.acts = [Act(hang_after_ms=30_000)]
    told: list[Resumption] = []
    await SpeechStream(connect, Wish(), told.append, stalled_after_s=3.5).unpaced(Sound(300), Tally().keep)
    assert [(resumption.missing_ms, resumption.is_anew) for resumption in told] == [(0, False)]
    assert edge.speech.received_ms == 300_000


class Talker(Sound):
    """Speaks for a second, and on when its server is lost; when all is said the server comes back."""

    is_live = True

    def __init__(self, seconds: int, speech: Speech) -> None:
        super().__init__(seconds)
        self.speech = speech

    def chunks(self, chunk_ms: int) -> Iterator[bytes]:
        for number, chunk in enumerate(super().chunks(1_000)):
            while number == 1 and len(self.speech.firsts) < 2:
                time.sleep(0.01)
            yield chunk
        self.speech.always = Act()


async def test_a_speaker_is_heard_while_the_server_is_away_and_what_is_too_much_is_told(
    edge: Edge, connect: Connect
) -> None:
    """A microphone that has to wait loses sound by itself, and nobody knows how much."""
    edge.speech.acts = [Act(break_after_ms=1_000, breaks=errors.Draining("going away"))]
    edge.speech.always = Act(refuse=errors.Draining("going away"))
    told: list[Resumption] = []
    await SpeechStream(connect, Wish(), told.append, patience_s=130).live(Talker(400, edge.speech), Tally().keep)
    assert told[0].missing_ms == (400 - 120 - 130) * 1_000
    assert edge.speech.received_ms == 400_000


async def test_a_server_that_ends_too_early(edge: Edge, connect: Connect) -> None:
    edge.speech.always = Act(break_after_ms=300)
    with pytest.raises(Problem, match="before the audio was over"):
        await SpeechStream(connect, Wish()).live(Sound(1000), Tally().keep)


async def test_latency_counts_from_when_the_sound_was_there_also_over_a_resume(edge: Edge, connect: Connect) -> None:
    edge.speech.acts = [Act(break_after_ms=300, breaks=errors.Draining("going away"))]
    edge.speech.final_every_ms = 500
    tally, sound, most_ms = Tally(), Sound(10), list[float]()

    def keep(heard: Heard) -> None:
        tally.keep(heard)
        if len(tally.finals) > len(most_ms):
            last_chunk = tally.finals[-1].end_ms // pcm.LIVE_CHUNK_MS - 1
            most_ms.append((time.monotonic() - sound.given_at_s[last_chunk]) * 1000)

    await SpeechStream(connect, Wish()).live(sound, keep)
    assert [final.end_ms for final in tally.finals] == [500, 1000]
    latencies = zip(tally.latencies_ms, most_ms, strict=True)
    assert all(0 <= latency <= round(most) for latency, most in latencies), "not from when earlier sound was there"
