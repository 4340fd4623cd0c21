"""One session that resumes by itself, spoken at its pace, with all that it tells."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from ai2text.asr.v1 import speech_service_pb2

from bench import scripts
from bench.continuity import Final
from bench.scripts import Script
from clients.cli.connection import Connect, connected
from clients.cli.live_stream import LiveStream, Resumption
from clients.cli.pcm import BYTES_PER_MS
from clients.cli.setup import Setup
from clients.cli.wish import Wish

PATIENCE_S = 60.0


@dataclass
class Heard:
    """What a session told."""

    finals: list[Final] = field(default_factory=list)
    came_at: list[float] = field(default_factory=list)
    """When each of them came, by `time.monotonic()`."""
    refined: dict[int, str] = field(default_factory=dict)
    """Better texts of finals, by their index."""
    resumptions: list[Resumption] = field(default_factory=list)

    def take(self, response: speech_service_pb2.StreamingRecognizeResponse) -> None:
        """For `on_response`."""
        if response.HasField("final"):
            self.finals.append(response.final)
            self.came_at.append(time.monotonic())
        elif response.HasField("refinement"):
            self.refined[response.refinement.final_index] = response.refinement.text

    @property
    def text(self) -> str:
        """All finals, as they were left in the end."""
        return " ".join(filter(None, (self.refined.get(final.final_index, final.text) for final in self.finals)))


@dataclass
class Clock:
    """When which sound was spoken."""

    speed: float = 1.0
    began: float = 0.0
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    handed_over: list[tuple[int, float]] = field(default_factory=list)
    """For each chunk its end in the sound, in milliseconds, and when the stream took it."""

    async def until(self, position_ms: float) -> None:
        """Returns when the sample at the position is spoken."""
        await asyncio.sleep(self.began + position_ms / 1000 / self.speed - time.monotonic())

    async def chunks(self, script: Script, chunk_ms: int) -> AsyncIterator[bytes]:
        """The sound of the script, each chunk when its last sample was spoken."""
        room = scripts.room()
        self.began = time.monotonic()
        self.begun.set()
        for start in range(0, script.length_ms, chunk_ms):
            end = min(start + chunk_ms, script.length_ms)
            chunk = scripts.rendered(script.turns, start, end, room)
            await self.until(end)
            yield chunk
            self.handed_over.append((start + len(chunk) // BYTES_PER_MS, time.monotonic()))


def connecting(environ: Mapping[str, str], target: str) -> Connect:
    """Opens connections to the edge, or to a proxy before it, as the command does."""
    setup = Setup.read(environ, endpoint=f"http://{target}")
    return lambda: connected(setup)


async def speak(
    connect: Connect, script: Script, clock: Clock, chunk_ms: int, told: Callable[[Resumption], None]
) -> Heard:
    """The whole script in one session. Raises Problem when it cannot be carried to its end."""
    heard = Heard()

    def resumed(resumption: Resumption) -> None:
        heard.resumptions.append(resumption)
        told(resumption)

    wish = Wish(language_code=script.language, storage_disabled=True)
    stream = LiveStream(connect, wish, on_response=heard.take, on_resumption=resumed, patience_s=PATIENCE_S)
    await stream.run(clock.chunks(script, chunk_ms))
    return heard
