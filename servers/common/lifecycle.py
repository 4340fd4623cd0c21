"""The life of a server: start, say whether it is well, drain, stop."""

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence

import grpc
import structlog
from ai2text.admin.v1 import dead_letter_service_pb2
from ai2text.asr.v1 import live_session_service_pb2, speech_service_pb2
from ai2text.embeddings.v1 import embedding_service_pb2
from ai2text.ingestion.v1 import ingestion_service_pb2
from ai2text.metadata.v1 import recording_service_pb2, retelling_service_pb2, transcript_service_pb2
from ai2text.nlp.v1 import text_service_pb2
from ai2text.search.v1 import index_service_pb2, search_service_pb2
from google.longrunning import operations_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from opentelemetry.instrumentation.grpc import aio_server_interceptor, filters

from servers.common import backoff
from servers.common.channel import MAX_MESSAGE_BYTES
from servers.common.errors import Ai2TextError
from servers.common.settings import ServerSettings
from servers.common.status import ErrorInterceptor

log = structlog.get_logger(__name__)

Mount = Callable[[grpc.aio.Server], str]
"""Adds a servicer to a server and returns the service's full name."""

Check = Callable[[], Awaitable[None]]
"""Raises when a dependency does not answer. Called every CHECK_INTERVAL_S with CHECK_TIMEOUT_S."""

Job = Callable[[], Awaitable[None]]
"""Work beside the calls, such as a consumer; begun again, with back-off, when it fails."""

MAX_METADATA_BYTES = 128 * 1024
"""More than the edge lets through, 60 KiB, and adds. gRPC's own bounds refuse an address of 8 KiB now and then."""

CHECK_INTERVAL_S = 2.0
CHECK_TIMEOUT_S = 2.0

CANCEL_AGAIN_S = 5.0
"""A job that has not ended so long after it was cancelled is cancelled again. `asyncio.wait_for` (Python 3.11), which
drivers wait with, loses a cancellation that comes in the moment in which an answer does."""

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

PUBLIC_SERVICES: tuple[str, ...] = tuple(
    service.full_name
    for module in (
        speech_service_pb2,
        live_session_service_pb2,
        operations_pb2,
        embedding_service_pb2,
        recording_service_pb2,
        transcript_service_pb2,
        retelling_service_pb2,
        search_service_pb2,
        index_service_pb2,
        text_service_pb2,
        ingestion_service_pb2,
        dead_letter_service_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
)
"""Every server reflects the whole contract: the edge sends reflection to one of them, whichever it is."""


def build(
    mounts: Sequence[Mount], most_bytes: int = MAX_MESSAGE_BYTES
) -> tuple[grpc.aio.Server, health.aio.HealthServicer, list[str]]:
    """A server with error table, tracing, health and reflection; its health servicer; the names of its services. gRPC
    refuses a message of more than `most_bytes` as RESOURCE_EXHAUSTED."""
    traced = aio_server_interceptor(filter_=filters.negate(filters.health_check()))
    server = grpc.aio.server(
        interceptors=[traced, ErrorInterceptor()],
        options=[
            ("grpc.max_receive_message_length", most_bytes),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_metadata_size", MAX_METADATA_BYTES),
            ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
            ("grpc.so_reuseport", 0),
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ],
    )
    checks = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    names = [mount(server) for mount in mounts]
    reflection.enable_server_reflection([*PUBLIC_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    return server, checks, names


async def run(
    settings: ServerSettings,
    mounts: Sequence[Mount],
    needs: Mapping[str, Check],
    jobs: Mapping[str, Job] | None = None,
    drain: Job | None = None,
    most_bytes: int = MAX_MESSAGE_BYTES,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain: refuse new calls, let those in flight end within `drain_s`.

    `drain` runs first, when health says already that the server serves no more, but calls are still taken. A message
    has `most_bytes` at most: it is parsed on the event loop, which takes 0.05 to 0.3 s for 1 MiB of empty messages.

    Health of "" says that the process serves; health of each service's name says whether all its `needs` answer.
    """
    server, checks, names = build(mounts, most_bytes)
    port = server.add_insecure_port(settings.listen)
    stop = _stop_signal()
    for name in names:
        await checks.set(name, _NOT_SERVING)  # until its needs have been asked for the first time
    with _what_is_there_stays():
        await server.start()
        await checks.set("", _SERVING)
        log.info("serving", port=port, services=names)
        async with _background({"health": lambda: _watch(checks, names, needs), **(jobs or {})}):
            await stop.wait()
            log.info("draining", seconds=settings.drain_s)
            await checks.enter_graceful_shutdown()
            if drain is not None:
                await drain()
            await server.stop(settings.drain_s)
    log.info("stopped")


@contextlib.contextmanager
def _what_is_there_stays() -> Iterator[None]:
    """Until the block ends, the collector of cycles looks only at what is made from now on. Modules, descriptors and
    the like are about 90,000 objects: to look through them all, every few seconds under load, keeps each call waiting
    for 50 to 110 ms."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _watch(checks: health.aio.HealthServicer, names: Sequence[str], needs: Mapping[str, Check]) -> None:
    was: set[str] | None = None
    while True:
        asked = await asyncio.gather(*(_failing(check) for check in needs.values()))
        failing = {name for name, failed in zip(needs, asked, strict=True) if failed}
        for name in names:
            await checks.set(name, _NOT_SERVING if failing else _SERVING)
        if failing != was and (failing or was):
            log.warning("dependencies", failing=sorted(failing))
        was = failing
        await asyncio.sleep(CHECK_INTERVAL_S)


async def _failing(check: Check) -> bool:
    try:
        await asyncio.wait_for(check(), CHECK_TIMEOUT_S)
    except Exception:  # noqa: BLE001 - whatever it is, the dependency is not well; `_watch` logs the change
        return True
    return False


@contextlib.asynccontextmanager
async def _background(jobs: Mapping[str, Job]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(_kept_going(name, job), name=name) for name, job in jobs.items()]
    try:
        yield
    finally:
        while running := [task for task in tasks if not task.done()]:
            for task in running:
                task.cancel()
            await asyncio.wait(running, timeout=CANCEL_AGAIN_S)


async def _kept_going(name: str, job: Job) -> None:
    """Run `job` for ever: when it fails, log the error whole and begin again after a pause that grows."""
    waits = backoff.delays()
    while True:
        began = asyncio.get_running_loop().time()
        try:
            await job()
        except Ai2TextError as error:
            log.warning("job waits", job=name, reason=error.reason, error=str(error))
        except Exception:
            log.exception("job failed", job=name)
        if asyncio.get_running_loop().time() - began > 60:
            waits = backoff.delays()
        await asyncio.sleep(next(waits))
