"""Writes to metadata through the edge at a constant rate, whether they are answered or not: how long they take."""

import asyncio
import contextlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import grpc
from ai2text.metadata.v1 import (
    recording_pb2,
    recording_service_pb2,
    recording_service_pb2_grpc,
    transcript_pb2,
    transcript_service_pb2,
    transcript_service_pb2_grpc,
)

from bench.spread import Spread
from bench.wire import Status, Wire

METHOD = "/ai2text.metadata.v1.TranscriptService/AppendSegments"
CONNECTIONS = 8
DEADLINE_S = 5.0
TRANSCRIPTS = 64
"""The writes go to so many transcripts in turn: those to one recording wait for each other."""
TEXT = "Con thuyền giấy trôi theo dòng nước đục ngầu sau cơn mưa chiều hôm qua."


@dataclass
class Writes:
    """What became of them. Milliseconds, from the moment at which a write was due."""

    delays_ms: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def spread(self) -> Spread:
        """Of those that succeeded."""
        return Spread.of(self.delays_ms)

    @property
    def error_rate(self) -> float:
        """The share that failed, 0 to 1."""
        return len(self.errors) / max(1, len(self.errors) + len(self.delays_ms))


async def measure(target: str, headers: Sequence[tuple[str, str]], rate: float, seconds: float) -> Writes:
    """Append one segment `rate` times a second for so long, over eight connections."""
    async with grpc.aio.insecure_channel(target) as channel:
        transcripts = await _transcripts(channel, headers)
    timed = [*headers, ("grpc-timeout", f"{DEADLINE_S * 1000:.0f}m")]
    wires = [await Wire.connected(target, METHOD, timed) for _ in range(CONNECTIONS)]
    try:
        writes, count = Writes(), round(rate * seconds)
        answered = asyncio.Semaphore(0)
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(count):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            content = _append(transcripts[number % TRANSCRIPTS], number // TRANSCRIPTS)
            wires[number % CONNECTIONS].call(content, partial(_note, writes, due, answered))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DEADLINE_S + 1):
                for _ in range(count):
                    await answered.acquire()
        writes.errors += ["DEADLINE_EXCEEDED: no answer"] * (count - len(writes.delays_ms) - len(writes.errors))
        return writes
    finally:
        for wire in wires:
            wire.close()


def _note(writes: Writes, due: float, answered: asyncio.Semaphore, status: Status) -> None:
    answered.release()
    if status.code == "OK":
        writes.delays_ms.append((asyncio.get_running_loop().time() - due) * 1000)
    else:
        writes.errors.append(f"{status.code}: {status.message}")


async def _transcripts(channel: grpc.aio.Channel, headers: Sequence[tuple[str, str]]) -> list[str]:
    recordings = recording_service_pb2_grpc.RecordingServiceStub(channel)
    transcripts = transcript_service_pb2_grpc.TranscriptServiceStub(channel)
    made = []
    for number in range(TRANSCRIPTS):
        new = recording_service_pb2.CreateRecordingRequest(
            recording_id=str(uuid.uuid4()), title=f"bench {number}", source=recording_pb2.RECORDING_SOURCE_LIVE
        )
        recording = (await recordings.CreateRecording(new, metadata=headers, timeout=DEADLINE_S)).recording
        begin = transcript_service_pb2.CreateTranscriptRequest(recording_id=recording.recording_id, model="bench")
        answer = await transcripts.CreateTranscript(begin, metadata=headers, timeout=DEADLINE_S)
        made.append(answer.transcript.transcript_id)
    return made


def _append(transcript_id: str, index: int) -> bytes:
    """One request."""
    segment = transcript_pb2.Segment(
        segment_index=index, text=TEXT, start_ms=index * 4000, end_ms=index * 4000 + 3500, language_code="vi",
        confidence=0.8,
    )  # fmt: skip
    request = transcript_service_pb2.AppendSegmentsRequest(transcript_id=transcript_id, segments=[segment])
    return request.SerializeToString()
