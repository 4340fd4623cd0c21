"""One speaker: a live session over the edge, what was sent when, and what came back when.

Moments are `time.monotonic()`, which all processes of a machine share.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from ai2text.asr.v1 import result_pb2, speech_service_pb2
from ai2text.asr.v1.speech_service_pb2_grpc import SpeechServiceStub

from clients.cli import refusal
from clients.cli.leg import CALL_IS_OVER
from clients.cli.pcm import BYTES_PER_MS, FILE_CHUNK_MS
from clients.cli.wish import Wish

Request = speech_service_pb2.StreamingRecognizeRequest
Response = speech_service_pb2.StreamingRecognizeResponse

GRID_S = 0.01
"""Sessions begin on a grid of this width: those that fall together wake the generator once, which halves its cost."""
ADMITTED_WITHIN_S, SHORTEST_WAIT_S = 90.0, 0.5
PATIENCE_S = 60.0
"""How long the answers may take after the audio is over."""


class SessionBroken(Exception):
    """A session that had to be transcribed to its end was not; the message says how it ended."""


@dataclass(frozen=True)
class Arrival:
    """One message of the server, and when it came."""

    at: float
    response: Response


@dataclass(frozen=True)
class Ending:
    """How a session ended that did not end in order."""

    code: str
    reason: str
    retry_after_s: float | None

    def __str__(self) -> str:
        return f"{self.code} {self.reason}".strip()


@dataclass
class Take:
    """One session as it went."""

    began: float = math.nan
    """When the first sample was spoken."""
    sent_bytes: int = 0
    arrivals: list[Arrival] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    """For each chunk how late its sender woke: the fault of the generator."""
    held_back_s: float = 0.0
    """How long the server's flow control held the sender back in all."""
    ending: Ending | None = None

    @property
    def started(self) -> bool:
        """Whether the server took the session."""
        return bool(self.arrivals)

    def spoken_at(self, position_ms: float) -> float:
        """When the sample at the position was spoken, at the pace of speech."""
        return self.began + position_ms / 1000

    def finals(self) -> Iterator[tuple[float, result_pb2.FinalResult]]:
        """The finals, and when they came."""
        return ((arrival.at, arrival.response.final) for arrival in self.arrivals if arrival.response.HasField("final"))

    def partials(self) -> Iterator[tuple[float, result_pb2.PartialResult]]:
        """The partials, and when they came."""
        return (
            (arrival.at, arrival.response.partial) for arrival in self.arrivals if arrival.response.HasField("partial")
        )

    def endpoints(self) -> Iterator[tuple[float, int]]:
        """When the server said that an utterance had ended, and where it says that it did."""
        return (
            (arrival.at, arrival.response.speech_ended.end_ms)
            for arrival in self.arrivals
            if arrival.response.HasField("speech_ended")
        )

    @property
    def refined(self) -> dict[int, str]:
        """The text of each final by its index, as it was left in the end."""
        texts = {final.final_index: final.text for _, final in self.finals()}
        better = (arrival.response.refinement for arrival in self.arrivals if arrival.response.HasField("refinement"))
        return texts | {refinement.final_index: refinement.text for refinement in better}

    @property
    def text(self) -> str:
        """All finals, as they were left in the end."""
        return " ".join(filter(None, self.refined.values()))

    @property
    def first_text(self) -> str:
        """All finals, as they came first."""
        return " ".join(final.text for _, final in self.finals())

    @property
    def missing_bytes(self) -> int:
        """What was sent, but is not in the last cursor that the server told."""
        received_ms = self.arrivals[-1].response.cursors.received_ms if self.arrivals else 0
        return max(0, self.sent_bytes - received_ms * BYTES_PER_MS)


@dataclass(frozen=True)
class Manner:
    """How a session is spoken."""

    language: str
    chunk_ms: int = 40
    paced: bool = True
    """At the pace of speech; else as fast as the server takes it."""
    stored: bool = False

    def config(self) -> Request:
        """The first message."""
        return Request(config=Wish(language_code=self.language, storage_disabled=not self.stored).config())


async def speak(channel: grpc.aio.Channel, token: str, sound: bytes, manner: Manner) -> Take:
    """Speaks `sound` and returns when the server has answered all of it, or ended the session otherwise."""
    take = Take()
    timeout_s = len(sound) / BYTES_PER_MS / 1000 + PATIENCE_S
    metadata = (("authorization", f"Bearer {token}"),)
    call: Any = SpeechServiceStub(channel).StreamingRecognize(metadata=metadata, timeout=timeout_s)
    sender: asyncio.Task[None] | None = None
    try:
        with contextlib.suppress(*CALL_IS_OVER):
            await call.write(manner.config())
        async for response in call:
            take.arrivals.append(Arrival(asyncio.get_running_loop().time(), response))
            sender = sender or asyncio.create_task(_send(call, sound, manner, take))
    except grpc.aio.AioRpcError as error:
        details = refusal.details_of(error)
        take.ending = Ending(error.code().name, details.reason, details.retry_after_s)
    finally:
        if sender is not None:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
        call.cancel()
    return take


async def speak_each(
    target: str, token: str, sounds: Sequence[tuple[bytes, Manner]], at_once: int, told: Callable[[], None]
) -> list[Take]:
    """Each sound in a session of its own, `at_once` at a time; `told` is called after each.

    A session that is refused for now is asked for again when the server says, for ADMITTED_WITHIN_S.
    """
    slots = asyncio.Semaphore(at_once)
    async with grpc.aio.insecure_channel(target) as channel:

        async def one(sound: bytes, manner: Manner) -> Take:
            async with slots:
                take = await _admitted(channel, token, sound, manner)
                told()
                return take

        return list(await asyncio.gather(*(one(sound, manner) for sound, manner in sounds)))


async def _admitted(channel: grpc.aio.Channel, token: str, sound: bytes, manner: Manner) -> Take:
    clock = asyncio.get_running_loop().time
    deadline = clock() + ADMITTED_WITHIN_S
    while True:
        take = await speak(channel, token, sound, manner)
        if take.started or take.ending is None or take.ending.retry_after_s is None or clock() > deadline:
            return take
        await asyncio.sleep(max(take.ending.retry_after_s, SHORTEST_WAIT_S))


async def _send(call: Any, sound: bytes, manner: Manner, take: Take) -> None:
    clock = asyncio.get_running_loop().time
    take.began = math.ceil(clock() / GRID_S) * GRID_S
    step = (manner.chunk_ms if manner.paced else FILE_CHUNK_MS) * BYTES_PER_MS
    free = take.began
    with contextlib.suppress(*CALL_IS_OVER):
        for offset in range(0, len(sound), step):
            chunk = sound[offset : offset + step]
            if manner.paced:
                due = take.spoken_at((offset + len(chunk)) / BYTES_PER_MS)
                await asyncio.sleep(due - clock())
                take.late_s.append(max(0.0, clock() - max(due, free)))
            asked = clock()
            await call.write(Request(audio=chunk))
            free = clock()
            take.held_back_s += free - asked
            take.sent_bytes += len(chunk)
        await call.done_writing()
