"""Uploads through a server of the bench's own, whose object store fails now and then."""

import asyncio
import contextlib
import io
import os
import socket
import uuid
import wave
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import grpc
from ai2text.ingestion.v1 import ingestion_service_pb2, ingestion_service_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bench.clips import Clip, pcm16
from bench.flaky_store import FlakyStore, flaky
from bench.ground import Ground
from mesh import parts

PIECE_MS = 1_500
START_WITHIN_S = 30.0


@dataclass
class Ingested:
    """What became of the uploads; none was sent twice."""

    acknowledged: int = 0
    errors: list[str] = field(default_factory=list)
    store_requests: int = 0
    store_failures: int = 0

    @property
    def retry_success_rate(self) -> float:
        """The share of the store's failures that no client got to see, 0 to 1; 1 when there was none."""
        return 1 - min(1.0, len(self.errors) / self.store_failures) if self.store_failures else 1.0


async def measure(ground: Ground, clips: Sequence[Clip], uploads: int, share: float, seed: int) -> Ingested:
    """Upload so many different pieces of the clips, four at once, while a share of the store's requests fails."""
    done = Ingested()
    sounds, headers = pieces(clips, uploads, seed), caller()
    async with flaky(ground.ports.address("objects"), share, seed) as store, _server(ground, store) as channel:
        stub = ingestion_service_pb2_grpc.IngestionServiceStub(channel)
        places = asyncio.Semaphore(4)

        async def one(sound: bytes) -> None:
            async with places:
                try:
                    await stub.UploadRecording(_messages(sound), metadata=headers, timeout=60)
                    done.acknowledged += 1
                except grpc.aio.AioRpcError as error:
                    done.errors.append(f"{error.code().name}: {error.details()}")

        await asyncio.gather(*map(one, sounds))
    done.store_requests, done.store_failures = store.requests, store.failed
    return done


def caller() -> tuple[tuple[str, str], ...]:
    """The headers of a tenant that nobody was before: of another run's the store would have every file already."""
    return (
        ("x-ai2text-tenant", f"bench-ingestion-{uuid.uuid4().hex[:12]}"),
        ("x-ai2text-subject", "bench"),
        ("x-ai2text-scopes", "recordings.write recordings.read"),
    )


def pieces(clips: Sequence[Clip], count: int, seed: int) -> list[bytes]:
    """So many WAV files of 1.5 s, no two of them the same, nor the same as those of another seed."""
    sounds = [pcm16(clip.path) for clip in clips]
    return [wav(sounds[number % len(sounds)], 160 * number, f"{seed}-{number}") for number in range(count)]


def wav(pcm: bytes, skip: int, mark: str) -> bytes:
    """A piece of 16-bit mono audio at 16 kHz from a sample on, round and round; the mark is written into its last
    samples, too short to be heard."""
    ending = mark.encode().ljust(32, b"\0")[:32]
    length = PIECE_MS * 32
    begin = 2 * skip % max(2, len(pcm) - length)
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setparams((1, 2, 16_000, 0, "NONE", ""))
        written.writeframes((pcm[begin:] + pcm)[: length - len(ending)] + ending)
    return file.getvalue()


async def _messages(sound: bytes) -> AsyncIterator[ingestion_service_pb2.UploadRecordingRequest]:
    file = ingestion_service_pb2.UploadFile(request_id=str(uuid.uuid4()), title="bench", language_code="vi")
    yield ingestion_service_pb2.UploadRecordingRequest(file=file)
    yield ingestion_service_pb2.UploadRecordingRequest(chunk=sound)


@contextlib.asynccontextmanager
async def _server(ground: Ground, store: FlakyStore) -> AsyncIterator[grpc.aio.Channel]:
    """The server as the mesh runs it, but for the address of its store. RuntimeError when it does not come up."""
    part = parts.named("ingestion", ground.ports, ground.home)
    listen = f"127.0.0.1:{_free_port()}"
    own = {
        "AI2TEXT_LISTEN": listen,
        "AI2TEXT_METRICS_PORT": "0",
        "AI2TEXT_S3_ENDPOINT": f"http://127.0.0.1:{store.port}",
    }
    process = await asyncio.create_subprocess_exec(*part.command, env={**os.environ, **part.env, **own})
    try:
        async with grpc.aio.insecure_channel(listen) as channel:
            await _serving(channel)
            yield channel
    finally:
        process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 20)
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _serving(channel: grpc.aio.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    loop = asyncio.get_running_loop()
    until = loop.time() + START_WITHIN_S
    while loop.time() < until:
        with contextlib.suppress(grpc.aio.AioRpcError):
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=2)
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return
        await asyncio.sleep(0.3)
    raise RuntimeError("the bench's own ingestion server did not come up")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
