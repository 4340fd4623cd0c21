"""A live session whose streams break, hang, are refused or handed over: no byte and no final is lost or doubled."""

import asyncio
import functools
import random
from collections.abc import AsyncIterator, Callable, Iterator

import grpc
import pytest
from ai2text.asr.v1 import speech_service_pb2

from bench.proxy import proxied
from clients.cli.connection import Connect, connected
from clients.cli.live_stream import LiveStream, Resumption
from clients.cli.pcm import BYTES_PER_MS
from clients.cli.problem import Problem
from clients.cli.refusal import Refusal
from clients.cli.setup import Setup
from clients.cli.wish import Wish
from servers.common import errors
from tests.fakes.recognizers import come_true
from tests.rpc.cli_edge import TOKEN, Edge, serving
from tests.rpc.cli_speech import REPLAYED_MS, VERSION, Act, Speech, digest

FINAL_MS = 500
SOUND = random.Random(3).randbytes(2_600 * BYTES_PER_MS)
"""2.6 s: five finals and a rest."""
EXPECTED = [digest(SOUND[at : at + FINAL_MS * BYTES_PER_MS]) for at in range(0, len(SOUND), FINAL_MS * BYTES_PER_MS)]
DRAINING = errors.Draining("this server is shutting down")


@pytest.fixture
def edge() -> Iterator[Edge]:
    with serving() as running:
        running.speech.said = ""
        running.speech.final_every_ms = FINAL_MS
        yield running


@pytest.fixture
def speech(edge: Edge) -> Speech:
    return edge.speech


class Talk:
    """A speaker: says SOUND at ten times the pace of speech, and keeps what came back."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.responses: list[speech_service_pb2.StreamingRecognizeResponse] = []
        self.resumptions: list[Resumption] = []
        self.stream: LiveStream | None = None

    @property
    def connect(self) -> Connect:
        address = f"http://127.0.0.1:{self.port}"
        return functools.partial(connected, Setup.read({"AI2TEXT_ENDPOINT": address, "AI2TEXT_TOKEN": TOKEN}))

    @property
    def finals(self) -> list[str]:
        return [response.final.text for response in self.responses if response.HasField("final")]

    @property
    def indices(self) -> list[int]:
        return [response.final.final_index for response in self.responses if response.HasField("final")]

    async def hesitate(self) -> None:
        """Says 700 ms and waits: grpc.aio loses the status of a stream that ends while something is being written."""

        async def hesitating() -> AsyncIterator[bytes]:
            yield SOUND[: 700 * BYTES_PER_MS]
            await asyncio.sleep(30)

        self.stream = LiveStream(self.connect, Wish(), self.responses.append, self.resumptions.append)
        async with asyncio.timeout(30):
            await self.stream.run(hesitating())

    async def speak(
        self,
        sound: bytes = SOUND,
        pace: float = 10,
        patience_s: float = 10,
        stalled_after_s: float = 30,
        wish: Wish = Wish(),  # noqa: B008 - it cannot change
        source: AsyncIterator[bytes] | None = None,
    ) -> LiveStream:
        """Says what the source says; without one the sound, at `pace`."""
        self.stream = LiveStream(
            self.connect, wish, self.responses.append, self.resumptions.append, patience_s, stalled_after_s
        )
        async with asyncio.timeout(30):
            await self.stream.run(source or chunks(sound, pace, wish.bytes_per_ms))
        return self.stream


async def chunks(sound: bytes, pace: float, bytes_per_ms: int) -> AsyncIterator[bytes]:
    """The sound in pieces of 40 ms, less a few bytes, each when it is due."""
    size = 40 * bytes_per_ms - 6
    began = asyncio.get_running_loop().time()
    for at in range(0, len(sound), size):
        due_s = began + at / bytes_per_ms / 1000 / pace if pace else 0
        await asyncio.sleep(max(0, due_s - asyncio.get_running_loop().time()))
        yield sound[at : at + size]


async def interrupted(speech: Speech, interrupt: Callable[[], None]) -> AsyncIterator[bytes]:
    """SOUND, in the midst of which something happens: the server has heard half a second, and more is to come."""
    middle = 1_300 * BYTES_PER_MS
    async for piece in chunks(SOUND[:middle], 10, BYTES_PER_MS):
        yield piece
    await come_true(lambda: speech.received_ms >= 500)
    interrupt()
    async for piece in chunks(SOUND[middle:], 10, BYTES_PER_MS):
        yield piece


@pytest.fixture
def talk(edge: Edge) -> Talk:
    return Talk(edge.port)


def assert_nothing_is_lost(speech: Speech, talk: Talk) -> None:
    assert [bytes(session.audio) for session in speech.sessions] == [SOUND]
    assert talk.finals == EXPECTED
    assert talk.indices == list(range(len(EXPECTED)))
    assert speech.acts == [], "the server did all that it was told"


async def test_an_undisturbed_session_has_one_stream(speech: Speech, talk: Talk) -> None:
    stream = await talk.speak()
    assert_nothing_is_lost(speech, talk)
    assert (stream.resumes, stream.session_id, talk.resumptions) == (0, "s1", [])


@pytest.mark.parametrize(
    "breaks",
    [
        DRAINING,
        errors.DependencyUnavailable("triton"),
        errors.StreamIdle("nothing arrived"),
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.CANCELLED,
    ],
    ids=repr,
)
async def test_a_stream_that_breaks_in_mid_utterance_is_resumed(
    speech: Speech, talk: Talk, breaks: Exception | grpc.StatusCode
) -> None:
    speech.acts = [Act(break_after_ms=1_250, breaks=breaks)]
    stream = await talk.speak()
    assert_nothing_is_lost(speech, talk)
    assert stream.resumes == 1
    resume = speech.firsts[1].resume
    assert (resume.session_id, resume.resume_token, resume.next_final_index) == ("s1", "secret of s1", 2)
    assert speech.versions == ["", VERSION]
    (resumption,) = talk.resumptions
    assert (bool(resumption.why), resumption.missing_ms, resumption.is_anew) == (True, 0, False)
    assert 0 <= resumption.after_s < 5


async def test_it_breaks_again_and_again(speech: Speech, talk: Talk) -> None:
    speech.acts = [Act(break_after_ms=at, breaks=DRAINING) for at in range(100, 2_600, 250)]
    stream = await talk.speak()
    assert_nothing_is_lost(speech, talk)
    assert stream.resumes == 10


async def test_as_fast_as_it_goes_too(speech: Speech, talk: Talk) -> None:
    speech.acts = [Act(break_after_ms=at, breaks=grpc.StatusCode.UNAVAILABLE) for at in (1, 700, 2_000)]
    await talk.speak(pace=0)
    assert_nothing_is_lost(speech, talk)


async def test_a_stream_that_breaks_after_the_end_of_the_sound(speech: Speech, talk: Talk) -> None:
    speech.acts = [Act(breaks_at_end=True, breaks=DRAINING), Act(breaks_at_end=True, breaks=DRAINING)]
    stream = await talk.speak()
    assert_nothing_is_lost(speech, talk)
    assert (stream.resumes, speech.half_closed) == (2, True)


async def test_finals_that_come_again_are_left_out(speech: Speech, talk: Talk) -> None:
    """The server forgets what the client wants: it sends all that it has."""
    speech.acts = [Act(break_after_ms=1_250, breaks=DRAINING)]
    speech.repeats = True
    await talk.speak()
    assert_nothing_is_lost(speech, talk)


@pytest.mark.parametrize("full_times", [1, 3])
async def test_a_server_that_is_full_is_asked_again(speech: Speech, talk: Talk, full_times: int) -> None:
    speech.acts = [Act(break_after_ms=700, breaks=DRAINING), *[Act(refuse=errors.Overloaded("full"))] * full_times]
    await talk.speak()
    assert_nothing_is_lost(speech, talk)
    assert talk.resumptions[0].after_s >= full_times, "RetryInfo says one second"


async def test_a_connection_that_is_reset_is_made_again(edge: Edge, speech: Speech) -> None:
    async with proxied(f"127.0.0.1:{edge.port}") as proxy:
        talk = Talk(proxy.port)
        stream = await talk.speak(source=interrupted(speech, proxy.cut))
    assert_nothing_is_lost(speech, talk)
    assert (stream.resumes, proxy.connections) == (1, 2)


async def test_a_connection_that_is_only_silent_is_noticed(edge: Edge, speech: Speech) -> None:
    async with proxied(f"127.0.0.1:{edge.port}") as proxy:
        talk = Talk(proxy.port)
        running = asyncio.create_task(talk.speak(source=interrupted(speech, proxy.blackhole)))
        await come_true(lambda: proxy.connections == 2)
        proxy.mend()
        stream = await running
    assert_nothing_is_lost(speech, talk)
    assert stream.resumes == 1


async def test_a_closing_server_hands_over_while_its_stream_goes_on(speech: Speech, talk: Talk) -> None:
    speech.acts = [Act(closing_after_ms=300), Act(refuse=DRAINING), Act(refuse=DRAINING)]
    speech.always = Act(refuse=DRAINING)

    async def slowly_until_handed_over() -> AsyncIterator[bytes]:
        async for piece in chunks(SOUND, 0, BYTES_PER_MS):
            yield piece
            if talk.finals:
                speech.always = Act()
            if not talk.resumptions:
                await asyncio.sleep(0.08)

    stream = await talk.speak(source=slowly_until_handed_over())
    assert_nothing_is_lost(speech, talk)
    assert (stream.resumes, [resumption.why for resumption in talk.resumptions]) == (1, [""])
    assert len(speech.firsts) >= 4
    assert speech.firsts[-1].resume.next_final_index >= 1, "the first stream went on meanwhile"


async def test_a_closing_server_that_finishes_in_time_is_enough(speech: Speech, talk: Talk) -> None:
    speech.acts = [Act(closing_after_ms=2_500), *[Act(refuse=DRAINING)] * 50]
    stream = await talk.speak()
    assert (talk.finals, stream.resumes) == (EXPECTED, 0)


async def test_a_forgotten_session_is_followed_by_a_new_one(speech: Speech, talk: Talk) -> None:
    speech.acts = [Act(break_after_ms=1_250, breaks=DRAINING, forgets=True)]
    stream = await talk.speak()
    assert [len(session.audio) // BYTES_PER_MS for session in speech.sessions] == [1_250, 1_600]
    assert (talk.finals, talk.indices) == (EXPECTED, list(range(6)))
    finals = [response.final for response in talk.responses if response.HasField("final")]
    assert [(final.start_ms, final.end_ms) for final in finals][2:4] == [(1_000, 1_500), (1_500, 2_000)]
    assert finals[2].words[0].start_ms == 1_000
    assert [response.cursors.final_index for response in talk.responses][-1] == 6
    assert (stream.session_id, stream.resumes, talk.resumptions[0].is_anew) == ("s2", 0, True)
    assert talk.resumptions[0].missing_ms == 0


async def test_a_new_session_begins_where_one_of_the_channels_is_not_yet_said(speech: Speech, talk: Talk) -> None:
    """Finals end at 500 ms in the one and at 1000 ms in the other; the sound before 800 ms is settled."""
    stereo = random.Random(7).randbytes(1_200 * BYTES_PER_MS * 2)
    speech.acts = [Act(break_after_ms=1_100, breaks=DRAINING, forgets=True)]
    await talk.speak(stereo, wish=Wish(channel_count=2))
    assert speech.sessions[1].audio == stereo[(1_000 - REPLAYED_MS) * BYTES_PER_MS * 2 :]


async def test_a_session_forgotten_after_its_end_needs_no_other(speech: Speech, talk: Talk) -> None:
    whole = SOUND[: 4 * FINAL_MS * BYTES_PER_MS]
    speech.acts = [Act(breaks_at_end=True, breaks=DRAINING, forgets=True)]
    await talk.speak(whole)
    assert (talk.finals, len(speech.sessions)) == (EXPECTED[:4], 1)


async def test_a_hanging_server_is_left(speech: Speech, talk: Talk) -> None:
    speech.acts = [Act(hang_after_ms=700)]
    stream = await talk.speak(stalled_after_s=3)
    assert_nothing_is_lost(speech, talk)
    assert stream.resumes == 1


async def test_a_silent_source_is_kept_alive(speech: Speech, talk: Talk) -> None:
    async def hesitating() -> AsyncIterator[bytes]:
        yield SOUND[: 600 * BYTES_PER_MS]
        await come_true(lambda: speech.others.count("keepalive") >= 5)  # one comes after a quarter of what is a stall
        yield SOUND[600 * BYTES_PER_MS :]

    stream = await talk.speak(stalled_after_s=3, source=hesitating())
    assert_nothing_is_lost(speech, talk)
    assert stream.resumes == 0, "silence is no stall"


async def test_settled_sound_that_is_wanted_again_is_silence(speech: Speech, talk: Talk) -> None:
    speech.hears_silence, speech.final_every_ms = True, 10_000
    speech.acts = [Act(break_after_ms=1_500, breaks=DRAINING)]
    await talk.speak()
    (session,) = speech.sessions
    assert len(session.audio) == len(SOUND), "the clock of the session goes on"
    assert session.audio.endswith(SOUND[1_500 * BYTES_PER_MS :])
    assert speech.others == ["silence"]
    assert talk.resumptions[0].missing_ms == 0


async def test_what_is_never_settled_is_not_kept_for_ever(speech: Speech, talk: Talk) -> None:
    speech.final_every_ms = 10_000_000
    speech.acts = [Act(break_after_ms=150_000, breaks=DRAINING)]
    sound = random.Random(5).randbytes(160_000 * BYTES_PER_MS)
    await talk.speak(sound, pace=0)
    (session,) = speech.sessions
    missing_ms = talk.resumptions[0].missing_ms
    assert 0 < missing_ms < 50_000
    assert session.audio == bytes(missing_ms * BYTES_PER_MS) + sound[missing_ms * BYTES_PER_MS :]


async def test_a_server_that_does_not_come_back_is_given_up(speech: Speech, talk: Talk) -> None:
    speech.acts = [Act(break_after_ms=700, breaks=DRAINING)]
    speech.always = Act(refuse=errors.DependencyUnavailable("valkey"))
    with pytest.raises(Problem, match=r"could not be resumed within 1 s.*Valkey does not answer"):
        await talk.speak(patience_s=1)
    assert talk.finals == EXPECTED[:1]
    assert 2 <= len(speech.firsts) <= 5, "it was not asked without pause"


async def test_a_stream_that_always_breaks_at_the_same_place_is_given_up(speech: Speech, talk: Talk) -> None:
    speech.always = Act(break_after_ms=700, breaks=grpc.StatusCode.INTERNAL)
    with pytest.raises(Problem, match="could not be resumed within 2 s"):
        await talk.speak(patience_s=2)
    assert talk.finals == EXPECTED[:1]
    assert 3 <= len(speech.firsts) < 15


async def test_without_patience_the_first_loss_is_the_end(speech: Speech, talk: Talk) -> None:
    speech.always = Act(break_after_ms=700, breaks=DRAINING)
    with pytest.raises(Refusal, match=r"DRAINING|INTERNAL"):
        await talk.speak(patience_s=0)
    assert len(speech.firsts) == 1


@pytest.mark.parametrize(
    "refused",
    [
        errors.SessionTakenOver("the session goes on over another connection"),
        errors.FieldInvalid("config", "is wrong"),
        errors.Ai2TextError("an internal error"),
    ],
    ids=lambda error: error.reason,
)
async def test_what_no_other_stream_would_mend_is_final(
    speech: Speech, talk: Talk, refused: errors.Ai2TextError
) -> None:
    speech.acts = [Act(break_after_ms=700, breaks=refused)]
    with pytest.raises(Refusal, match=refused.reason):
        await talk.hesitate()
    assert len(speech.firsts) == 1


async def test_a_resume_that_is_refused_for_good(speech: Speech, talk: Talk) -> None:
    speech.acts = [Act(break_after_ms=700, breaks=DRAINING), Act(refuse=errors.ScopeMissing("speech"))]
    with pytest.raises(Refusal, match="SCOPE_MISSING"):
        await talk.speak()


async def test_a_version_that_is_gone_is_not_waited_for_for_ever(speech: Speech, talk: Talk) -> None:
    speech.acts = [Act(break_after_ms=700, breaks=DRAINING), *[Act(refuse=DRAINING)] * 5]
    await talk.speak(patience_s=6)
    assert_nothing_is_lost(speech, talk)
    assert speech.versions[1] == VERSION
    assert speech.versions[-1] == "", "any will do, after half the patience"


async def test_channels_are_interleaved_and_replayed_whole(speech: Speech, talk: Talk) -> None:
    stereo = random.Random(7).randbytes(1_200 * BYTES_PER_MS * 2)
    speech.acts = [Act(break_after_ms=700, breaks=DRAINING)]
    await talk.speak(stereo, wish=Wish(channel_count=2))
    (session,) = speech.sessions
    assert (session.config.format.channel_count, bytes(session.audio)) == (2, stereo)
    assert talk.finals[0] == digest(stereo[: FINAL_MS * BYTES_PER_MS * 2])
