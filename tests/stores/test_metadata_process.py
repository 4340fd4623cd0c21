"""The metadata server as a process of its own: it starts before what it needs, gets well with it, and ends cleanly."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from ai2text.metadata.v1 import recording_pb2
from ai2text.metadata.v1.recording_service_pb2 import CreateRecordingRequest
from ai2text.metadata.v1.recording_service_pb2_grpc import RecordingServiceStub
from ai2text.metadata.v1.transcript_pb2 import Segment
from ai2text.metadata.v1.transcript_service_pb2 import AppendSegmentsRequest, CreateTranscriptRequest
from ai2text.metadata.v1.transcript_service_pb2_grpc import TranscriptServiceStub
from grpc_health.v1 import health_pb2, health_pb2_grpc

from servers.common import events
from servers.common.identity import Caller
from tests.free_ports import free_port
from tests.stores.nats_server import NatsServer
from tests.stores.postgres_server import PostgresServer

SERVICE = "ai2text.metadata.v1.TranscriptService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
CALLER = Caller("acme", "someone", frozenset({"recordings.write"})).metadata()


@asynccontextmanager
async def started(postgres: PostgresServer, nats: NatsServer, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """The server; killed at the end of the block unless it has ended before."""
    environment = {
        "AI2TEXT_LISTEN": f"127.0.0.1:{port}",
        "AI2TEXT_POSTGRES_DSN": postgres.app(),
        "AI2TEXT_NATS_URL": nats.url,
        "AI2TEXT_LOG_LEVEL": "error",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "servers.metadata", env={**os.environ, **environment}
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def health_becomes(wanted: int, channel: grpc.aio.Channel) -> None:
    """Wait until the service's health is as wanted; the process must answer all the while."""
    stub = health_pb2_grpc.HealthStub(channel)
    async with asyncio.timeout(20):
        while True:
            request = health_pb2.HealthCheckRequest(service=SERVICE)
            if (await stub.Check(request, wait_for_ready=True, timeout=20)).status == wanted:
                return
            await asyncio.sleep(0.05)


async def append(channel: grpc.aio.Channel) -> None:
    """Store one segment of a new recording."""
    create = CreateRecordingRequest(title="t", source=recording_pb2.RECORDING_SOURCE_LIVE)
    recording = (await RecordingServiceStub(channel).CreateRecording(create, metadata=CALLER)).recording
    transcripts = TranscriptServiceStub(channel)
    begin = CreateTranscriptRequest(recording_id=recording.recording_id, model="m")
    transcript = (await transcripts.CreateTranscript(begin, metadata=CALLER)).transcript
    segments = [Segment(text="xin chào", end_ms=1000)]
    request = AppendSegmentsRequest(transcript_id=transcript.transcript_id, segments=segments)
    await transcripts.AppendSegments(request, metadata=CALLER)


async def test_it_waits_for_what_it_needs_and_stops_when_told(postgres: PostgresServer, nats: NatsServer) -> None:
    port = free_port()
    await asyncio.to_thread(postgres.stop)
    try:
        async with started(postgres, nats, port) as process:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                await health_becomes(NOT_SERVING, channel)
                await asyncio.to_thread(postgres.start)
                await health_becomes(SERVING, channel)
                await append(channel)
                async with events.connected(nats.url) as bus, asyncio.timeout(20):
                    jetstream = await bus.jetstream()
                    while not (await jetstream.stream_info("TRANSCRIPTS")).state.messages:
                        await asyncio.sleep(0.02)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 15) == 0
    finally:
        if postgres.process is None:
            postgres.start()
