"""The ingestion server as a process of its own: well with what it needs, at work on events, clean in its end."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from ai2text.events.v1 import recording_events_pb2
from ai2text.ingestion.v1 import ingestion_service_pb2
from ai2text.ingestion.v1.ingestion_service_pb2_grpc import IngestionServiceStub
from grpc_health.v1 import health_pb2, health_pb2_grpc

from servers.common import events, objects
from servers.common.objects import ObjectStore
from tests.fakes import media
from tests.free_ports import free_port
from tests.rpc import metadata_server
from tests.rpc.ingestion_server import announced, stream
from tests.rpc.metadata_server import headers
from tests.stores.nats_server import NatsServer
from tests.stores.object_server import ObjectServer

SERVICE = "ai2text.ingestion.v1.IngestionService"
SERVING = health_pb2.HealthCheckResponse.SERVING
BUCKET = "ingestion-process"


@asynccontextmanager
async def started(environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """The server; killed at the end of the block unless it has ended before."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "servers.ingestion", env={**os.environ, **environment}
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def becomes_well(channel: grpc.aio.Channel) -> None:
    """Wait until the service serves."""
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service=SERVICE)
    async with asyncio.timeout(20):
        while (await stub.Check(request, wait_for_ready=True, timeout=20)).status != SERVING:
            await asyncio.sleep(0.05)


async def goes(store: ObjectStore, key: str) -> None:
    """Wait until there is no such object."""
    async with asyncio.timeout(20):
        while await store.head(key) is not None:
            await asyncio.sleep(0.05)


async def test_it_takes_files_removes_them_when_their_recordings_go_and_stops_when_told(
    objects_server: ObjectServer, nats: NatsServer, tmp_path: Path
) -> None:
    port, address = free_port(), objects_server.address(BUCKET)
    async with (
        metadata_server.served() as metadata,
        objects.connected(address) as store,
        events.connected(nats.url) as bus,
    ):
        environment = {
            "AI2TEXT_LISTEN": f"127.0.0.1:{port}",
            "AI2TEXT_METADATA": metadata.address,
            "AI2TEXT_NATS_URL": nats.url,
            "AI2TEXT_S3_ENDPOINT": address.endpoint,
            "AI2TEXT_S3_BUCKET": BUCKET,
            "AI2TEXT_S3_ACCESS_KEY": address.access_key,
            "AI2TEXT_S3_SECRET_KEY": address.secret_key,
            "AI2TEXT_SPOOL_DIR": str(tmp_path),
            "AI2TEXT_S3_PUBLIC_ENDPOINT": "https://files.example.org",
            "AI2TEXT_DOWNLOAD_EXPIRY_S": "77",
            "AI2TEXT_AUDIO_EXPIRY_DAYS": "30",
            "AI2TEXT_LOG_LEVEL": "error",
        }
        async with started(environment) as process:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                await becomes_well(channel)
                clip = media.wav()
                stub = IngestionServiceStub(channel)
                recording = (await stub.UploadRecording(stream(announced(clip), clip), metadata=headers())).recording
                assert await store.head(recording.object.key) is not None
                request = ingestion_service_pb2.CreateDownloadRequest(recording_id=recording.recording_id)
                url = (await stub.CreateDownload(request, metadata=headers())).url
                assert url.startswith(f"https://files.example.org/{BUCKET}/{recording.object.key}?")
                assert "&X-Amz-Expires=77&" in url
                metadata.store.recordings_by_id.clear()
                event = recording_events_pb2.RecordingDeleted(
                    event_id="e", tenant="acme", recording_id=recording.recording_id, object_key=recording.object.key
                )
                await events.publish(bus, events.RECORDING_DELETED, "e", event.SerializeToString())
                await goes(store, recording.object.key)
                rules = await store.retention.rules()
                assert [(rule["Filter"]["Prefix"], rule["Expiration"]["Days"]) for rule in rules] == [("audio/", 30)]
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 15) == 0
