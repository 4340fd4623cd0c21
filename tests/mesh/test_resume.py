"""Live sessions whose server is killed or stopped, or whose line is cut, in mid-sentence: not a word is lost."""

import asyncio
import functools
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import jiwer
import pytest
from ai2text.asr.v1 import result_pb2, speech_service_pb2
from ai2text.metadata.v1 import transcript_service_pb2

from bench.clips import pcm16
from bench.proxy import proxied
from bench.scoring import normalised
from clients.cli.connection import connected
from clients.cli.live_stream import LiveStream, Resumption
from clients.cli.pacing import paced
from clients.cli.pcm import BYTES_PER_MS, LIVE_CHUNK_MS, cut
from clients.cli.setup import Setup
from clients.cli.wish import Wish
from tests.mesh import replicas
from tests.mesh.running_mesh import Client, RunningMesh, eventually
from tests.mesh.speaking import clips

pytestmark = pytest.mark.timeout(240)

PAUSE = bytes(900 * BYTES_PER_MS)
CUT_FOR_S = {"reset": 10.0, "silent": 15.0}
"""By the way it is cut: a line that is silent the client notices within ten seconds, and shall before it comes back."""
TENANT = "resume"


@dataclass
class Talk:
    """What came of a talk."""

    finals: list[result_pb2.FinalResult] = field(default_factory=list)
    resumptions: list[Resumption] = field(default_factory=list)
    session: speech_service_pb2.SessionStarted = field(default_factory=speech_service_pb2.SessionStarted)
    partial: result_pb2.PartialResult | None = None
    """The newest, as long as its utterance is not over."""
    over: bool = False

    @property
    def words(self) -> str:
        return normalised(" ".join(final.text for final in self.finals))

    def take(self, response: speech_service_pb2.StreamingRecognizeResponse) -> None:
        match response.WhichOneof("event"):
            case "session_started":
                self.session = response.session_started
                self.partial = None
            case "partial":
                self.partial = response.partial
            case "speech_ended":
                self.partial = None
            case "final":
                self.finals.append(response.final)

    async def in_mid_sentence(self) -> bool:
        """Returns when somebody is speaking, and said something already; False when nobody will any more."""
        self.partial = None
        async with asyncio.timeout(60):
            while self.partial is None or self.partial.complete:
                if self.over:
                    return False
                await asyncio.sleep(0.02)
        return True


@pytest.fixture(scope="module")
def sound(speech_folder: Path) -> bytes:
    """Some sentences with pauses between them."""
    return b"".join(pcm16(clip) + PAUSE for clip, _ in clips(speech_folder, "vi")[:4])


@pytest.fixture(scope="module")
def undisturbed(running: RunningMesh, sound: bytes) -> Talk:
    """The same sound without any disturbance."""
    return asyncio.run(talked(running, sound, running.ports.edge))


async def talked(
    running: RunningMesh, sound: bytes, port: int, disturb: Callable[[Talk], Awaitable[None]] | None = None
) -> Talk:
    """Speaks at the pace of speech while `disturb` goes on."""
    setup = Setup.read(
        {"AI2TEXT_ENDPOINT": f"http://127.0.0.1:{port}", "AI2TEXT_TOKEN": running.token(TENANT), "USER": "tester"}
    )
    talk = Talk()
    wish = Wish(language_code="vi", title="resume")
    stream = LiveStream(functools.partial(connected, setup), wish, talk.take, talk.resumptions.append)
    chunks: AsyncIterator[bytes] = paced(cut([sound], LIVE_CHUNK_MS), 1.0, asyncio.Event())

    async def run() -> None:
        await stream.run(chunks)
        talk.over = True

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(run())
        if disturb is not None:
            tasks.create_task(_awaited(disturb(talk)))
    return talk


async def _awaited(work: Awaitable[None]) -> None:
    await work


def signalled(running: RunningMesh, part: str, number: signal.Signals) -> None:
    os.kill(int(running.parts()[part]["pid"]), number)


def assert_nothing_is_lost(client: Client, running: RunningMesh, talk: Talk, undisturbed: Talk) -> None:
    """At most one word at each join is another one; finals come once, and are stored as they came."""
    assert [final.final_index for final in talk.finals] == list(range(len(talk.finals)))
    assert not any(resumption.missing_ms or resumption.is_anew for resumption in talk.resumptions)
    changes = jiwer.process_words(undisturbed.words, talk.words)
    changed = changes.substitutions + changes.insertions + changes.deletions
    assert changed <= len(talk.resumptions), f"{undisturbed.words!r} became {talk.words!r}"
    request = transcript_service_pb2.ListSegmentsRequest(transcript_id=talk.session.transcript_id)

    def stored() -> list[str]:
        answer = client.transcripts.ListSegments(request, metadata=running.bearer(TENANT), timeout=10)
        return [segment.raw_text or segment.text for segment in answer.segments]

    eventually(stored, lambda texts: texts == [final.text for final in talk.finals])


async def test_a_killed_server_three_times_in_one_session(
    client: Client, running: RunningMesh, sound: bytes, undisturbed: Talk
) -> None:
    replicas.wait_until_nobody_speaks(running)

    done: list[int] = []

    async def kill(talk: Talk) -> None:
        for kills in range(1, 4):
            if not await talk.in_mid_sentence():  # the machine is slow, and it was all said meanwhile
                return
            done.append(kills)
            part = await asyncio.to_thread(replicas.the_serving_one, running)
            await asyncio.to_thread(signalled, running, part, signal.SIGKILL)
            async with asyncio.timeout(60):
                while len(talk.resumptions) < kills:
                    await asyncio.sleep(0.02)

    talk = await talked(running, sound, running.ports.edge, kill)
    assert len(talk.resumptions) == len(done) >= 2
    assert all(resumption.why for resumption in talk.resumptions)
    await asyncio.to_thread(running.wait_well)
    assert_nothing_is_lost(client, running, talk, undisturbed)


async def test_a_server_that_is_told_to_stop_hands_over(
    client: Client, running: RunningMesh, sound: bytes, undisturbed: Talk
) -> None:
    replicas.wait_until_nobody_speaks(running)

    async def stop(talk: Talk) -> None:
        assert await talk.in_mid_sentence()
        part = await asyncio.to_thread(replicas.the_serving_one, running)
        await asyncio.to_thread(signalled, running, part, signal.SIGTERM)

    talk = await talked(running, sound, running.ports.edge, stop)
    assert [resumption.why for resumption in talk.resumptions] == [""], "the next stream began before the last ended"
    await asyncio.to_thread(running.wait_well)
    assert_nothing_is_lost(client, running, talk, undisturbed)


@pytest.mark.parametrize("way", ["reset", "silent"])
async def test_a_line_that_is_cut_for_ten_seconds(
    client: Client, running: RunningMesh, sound: bytes, undisturbed: Talk, way: str
) -> None:
    async with proxied(running.ports.address("edge")) as proxy:

        async def cut_off(talk: Talk) -> None:
            assert await talk.in_mid_sentence()
            if way == "reset":
                proxy.cut(refuse=True)
            else:
                proxy.blackhole()
            await asyncio.sleep(CUT_FOR_S[way])
            proxy.mend()

        talk = await talked(running, sound, proxy.port, cut_off)
    assert len(talk.resumptions) == 1
    assert_nothing_is_lost(client, running, talk, undisturbed)
