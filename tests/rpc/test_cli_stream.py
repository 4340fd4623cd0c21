"""One live stream against a real server: what ends it, and what is said when that is too early."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from clients.cli import pcm
from clients.cli.connection import Connection, connected
from clients.cli.problem import Problem
from clients.cli.refusal import Refusal
from clients.cli.setup import Setup
from clients.cli.stream import SpeechStream, Wish
from clients.cli.tally import Tally
from servers.common import errors
from tests.rpc.cli_edge import TOKEN, Edge, serving


class Sound:
    """A source of `count` chunks of silence that then fails, if it is told to."""

    is_live = False
    title = ""
    duration_ms = None

    def __init__(self, count: int, fails: Problem | None = None) -> None:
        self.count = count
        self.fails = fails
        self.given = 0

    def chunks(self, chunk_ms: int) -> Iterator[bytes]:
        for _ in range(self.count):
            self.given += 1
            yield bytes(chunk_ms * pcm.BYTES_PER_MS)
        if self.fails is not None:
            raise self.fails


@pytest.fixture
def edge() -> Iterator[Edge]:
    with serving() as running:
        yield running


@pytest.fixture
async def connection(edge: Edge) -> AsyncIterator[Connection]:
    setup = Setup.read({"AI2TEXT_ENDPOINT": edge.address, "AI2TEXT_TOKEN": TOKEN, "USER": "lan"})
    async with connected(setup) as connection:
        yield connection


async def test_all_audio_arrives_and_everything_is_shown(edge: Edge, connection: Connection) -> None:
    tally = Tally()
    await SpeechStream(connection, Wish(language_code="vi")).unpaced(Sound(120), tally.keep)
    assert edge.speech.received_ms == 120_000
    assert tally.text == "Xin chào Việt Nam."
    assert tally.processed_ms == 120_000


async def test_a_slow_server_holds_the_client_back(edge: Edge, connection: Connection) -> None:
    edge.speech.hang = True
    source = Sound(10_000)  # 320 MB
    with pytest.raises(Problem, match="no progress"):
        await SpeechStream(connection, Wish(), stalled_after_s=0.5).unpaced(source, Tally().keep)
    assert source.given < 1000, "what the server does not read stays with the source"


async def test_stop_half_closes_and_the_last_final_still_comes(edge: Edge, connection: Connection) -> None:
    stream, tally = SpeechStream(connection, Wish()), Tally()
    asyncio.get_running_loop().call_later(0.35, stream.stop.set)
    await stream.live(Sound(1000), tally.keep)
    assert edge.speech.half_closed
    assert 100 <= edge.speech.received_ms <= 400
    assert len(tally.finals) == 1


async def test_a_source_that_fails_is_what_went_wrong_but_its_words_are_kept(
    edge: Edge, connection: Connection
) -> None:
    tally = Tally()
    with pytest.raises(Problem, match="the disk is gone"):
        await SpeechStream(connection, Wish()).unpaced(Sound(2, Problem("the disk is gone")), tally.keep)
    assert (edge.speech.half_closed, len(tally.finals)) == (True, 1)


async def test_a_server_that_says_nothing_is_given_up(edge: Edge, connection: Connection) -> None:
    edge.speech.hang = True
    with pytest.raises(Problem, match=r"no progress for 0\.5 s"):
        await SpeechStream(connection, Wish(), stalled_after_s=0.5).live(Sound(1), Tally().keep)


async def test_a_refusal_ends_the_sending(edge: Edge, connection: Connection) -> None:
    edge.speech.refuse = errors.Overloaded("this server is full")
    began = asyncio.get_running_loop().time()
    with pytest.raises(Refusal) as refused:
        await SpeechStream(connection, Wish()).live(Sound(1000), Tally().keep)
    assert (refused.value.details.reason, refused.value.details.retry_after_s) == ("OVERLOADED", 1.0)
    assert asyncio.get_running_loop().time() - began < 2


async def test_a_server_that_is_soon_back_is_waited_for(edge: Edge, connection: Connection) -> None:
    edge.speech.refuse = errors.Draining("this server is shutting down")
    edge.speech.refuse_times = 2
    tally = Tally()
    await SpeechStream(connection, Wish()).unpaced(Sound(3), tally.keep)
    assert (edge.speech.received_ms, len(tally.finals)) == (3_000, 1)
    assert len(edge.speech.configs) == 3


async def test_a_server_that_ends_too_early(edge: Edge, connection: Connection) -> None:
    edge.speech.ends_after_ms = 300
    with pytest.raises(Problem, match="before the audio was over"):
        await SpeechStream(connection, Wish()).live(Sound(1000), Tally().keep)
