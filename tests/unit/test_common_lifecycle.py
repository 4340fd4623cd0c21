"""What a server does for its calls while it runs, and its end: whatever becomes of a cancellation, its jobs end."""

import asyncio
import gc
import os
import signal

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from servers.common import lifecycle
from servers.common.settings import ServerSettings


async def test_the_collector_of_cycles_passes_over_what_was_there_before_the_server_served() -> None:
    kept = 0

    async def job() -> None:
        nonlocal kept
        kept = gc.get_freeze_count()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    async with asyncio.timeout(10):
        await lifecycle.run(ServerSettings(listen="127.0.0.1:0", drain_s=0), [], {}, {"looks": job})
    assert kept > 10_000
    assert gc.get_freeze_count() == 0


async def test_a_message_has_no_more_bytes_than_the_server_takes() -> None:
    server, _, _ = lifecycle.build([], most_bytes=1000)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        for length, code in ((900, grpc.StatusCode.NOT_FOUND), (1001, grpc.StatusCode.RESOURCE_EXHAUSTED)):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await check(health_pb2.HealthCheckRequest(service="x" * length), timeout=10)
            assert refused.value.code() is code
    await server.stop(None)


async def test_a_job_whose_cancellation_got_lost_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "CANCEL_AGAIN_S", 0.01)
    begun, lost = asyncio.Event(), 0

    async def job() -> None:
        nonlocal lost
        begun.set()
        while lost < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:  # as `asyncio.wait_for` does when the answer comes with it
                lost += 1
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        async with lifecycle._background({"deaf": job}):
            await begun.wait()
    assert lost == 2
