"""Writes to metadata through the edge at a constant rate, whether they are answered or not: how long they take."""

import asyncio
import gc
import itertools
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

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
from mesh import runtime
from mesh.ports import Ports

SAMPLING = "tracing.random_sampling"
"""Envoy's name for how many per cent of the requests are traced."""
TRACED = 1
"""Per cent of the writes. The local mesh traces all that comes, to be looked into; where hundreds come a second nobody
does."""
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


@contextmanager
def sampled(ports: Ports) -> Iterator[None]:
    """Until the block ends, the edge has few requests traced. Raises EdgeAway."""
    runtime.tell(ports, SAMPLING, TRACED)
    try:
        yield
    finally:
        runtime.forget(ports, SAMPLING)


async def measure(target: str, headers: Sequence[tuple[str, str]], rate: float, seconds: float) -> Writes:
    """Append one segment `rate` times a second for so long, over eight connections."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(target, options=options) for _ in range(8)]
    try:
        transcripts = await _transcripts(channels[0], headers)
        gc.collect()
        gc.freeze()  # the pauses of a collector that looks through all modules are no delays of what is measured
        stubs = itertools.cycle([transcript_service_pb2_grpc.TranscriptServiceStub(channel) for channel in channels])
        writes = Writes()
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.TaskGroup() as tasks:
            for number in range(round(rate * seconds)):
                due = began + number / rate
                await asyncio.sleep(max(0.0, due - loop.time()))
                transcript = transcripts[number % TRANSCRIPTS]
                tasks.create_task(_write(next(stubs), headers, transcript, number // TRANSCRIPTS, due, writes))
        return writes
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))


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


async def _write(
    stub: "transcript_service_pb2_grpc.TranscriptServiceAsyncStub",
    headers: Sequence[tuple[str, str]],
    transcript_id: str,
    index: int,
    due: float,
    writes: Writes,
) -> None:
    segment = transcript_pb2.Segment(
        segment_index=index, text=TEXT, start_ms=index * 4000, end_ms=index * 4000 + 3500, language_code="vi",
        confidence=0.8,
    )  # fmt: skip
    request = transcript_service_pb2.AppendSegmentsRequest(transcript_id=transcript_id, segments=[segment])
    try:
        await stub.AppendSegments(request, metadata=headers, timeout=DEADLINE_S)
    except grpc.aio.AioRpcError as error:
        writes.errors.append(f"{error.code().name}: {error.details()}")
    else:
        writes.delays_ms.append((asyncio.get_running_loop().time() - due) * 1000)
