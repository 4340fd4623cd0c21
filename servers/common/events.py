"""Events on NATS JetStream: the streams, a publisher, and a consumer that is idempotent by contract of its handler.

Events are protobuf messages of `ai2text.events.v1`. Each has an id that depends on its content alone; JetStream drops
a second event with the same id within the duplicate window, and consumers must bear one that comes later.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import nats
import nats.errors
import structlog
from google.protobuf.message import DecodeError, Message
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NoStreamResponseError, NotFoundError
from opentelemetry import metrics, propagate, trace

from servers.common import backoff
from servers.common.errors import Ai2TextError, DependencyUnavailable, InvalidInput

log = structlog.get_logger(__name__)
tracer = trace.get_tracer(__name__)

_METER = metrics.get_meter("ai2text")
PUBLISHED = _METER.create_counter("ai2text.events.published", description="Events stored by JetStream, by subject.")
HANDLED = _METER.create_counter("ai2text.events.handled", description="Events handled, by subject and outcome.")

RECORDING_UPLOADED = "recording.uploaded"
RECORDING_DELETED = "recording.deleted"
TRANSCRIPTION_REQUESTED = "transcription.requested"
TRANSCRIPT_FINALIZED = "transcript.finalized"
EMBEDDING_CREATED = "embedding.created"
DEAD_LETTERS = "dlq"

STREAMS: tuple[StreamConfig, ...] = (
    StreamConfig(name="RECORDINGS", subjects=["recording.>"]),
    StreamConfig(name="TRANSCRIPTIONS", subjects=["transcription.>"]),
    StreamConfig(name="TRANSCRIPTS", subjects=["transcript.>"]),
    StreamConfig(name="EMBEDDINGS", subjects=["embedding.>"]),
    StreamConfig(name="DLQ", subjects=[f"{DEAD_LETTERS}.>"]),
)
"""Kept by limits, on disk: a new consumer can read every event there ever was."""

DUPLICATE_WINDOW_S = 120.0
REQUEST_TIMEOUT_S = 5.0

RETRYABLE = (nats.errors.Error, OSError, asyncio.TimeoutError)
"""What a call to NATS raises when the server is away or slow."""


class Bus:
    """One connection to NATS; it connects at the first use and reconnects for ever."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Client | None = None
        self._connecting = asyncio.Lock()
        self._streams_known = False

    async def jetstream(self) -> JetStreamContext:
        """The JetStream of a live connection whose streams exist; DependencyUnavailable when NATS is away."""
        async with self._connecting:
            try:
                if self._client is None or self._client.is_closed:
                    self._client = await self._connect()
                if not self._client.is_connected:
                    raise DependencyUnavailable("nats")
                jetstream = self._client.jetstream(timeout=REQUEST_TIMEOUT_S)
                if not self._streams_known:
                    await _ensure_streams(jetstream)
                    self._streams_known = True
                return jetstream
            except RETRYABLE as error:
                raise DependencyUnavailable("nats") from error

    async def _connect(self) -> Client:
        if not await _listens(self._url):
            raise DependencyUnavailable("nats")
        return await nats.connect(
            self._url,
            connect_timeout=2,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.5,
            ping_interval=5,
            max_outstanding_pings=2,
            allow_reconnect=True,
            error_cb=_log_error,
            pending_size=8 * 1024 * 1024,
        )

    def doubt_streams(self) -> None:
        """A stream was missing: NATS has lost its data, so create the streams before the next use."""
        self._streams_known = False

    async def check(self) -> None:
        """Raise when NATS does not answer."""
        await (await self.jetstream()).account_info()

    async def close(self) -> None:
        """Disconnect. Nothing is pending: whatever was published has been acknowledged, or was raised."""
        if self._client is not None and not self._client.is_closed:
            with contextlib.suppress(*RETRYABLE):
                await asyncio.wait_for(self._client.close(), REQUEST_TIMEOUT_S)


async def _listens(url: str) -> bool:
    """Whether anything accepts connections: `nats.connect` itself would wait for ever with endless reconnects."""
    host, _, port = url.removeprefix("nats://").rpartition(":")
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), 2)
    except (TimeoutError, OSError):
        return False
    writer.close()
    return True


async def _log_error(error: Exception) -> None:
    log.warning("nats", error=repr(error))


async def _ensure_streams(jetstream: JetStreamContext) -> None:
    for declared in STREAMS:
        config = declared.evolve(
            storage=StorageType.FILE, retention=RetentionPolicy.LIMITS, duplicate_window=DUPLICATE_WINDOW_S
        )
        try:
            await jetstream.update_stream(config)
        except NotFoundError:
            await jetstream.add_stream(config)


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Bus]:
    """A bus that is closed at the end of the block."""
    bus = Bus(url)
    try:
        yield bus
    finally:
        await bus.close()


def trace_headers() -> dict[str, str]:
    """The W3C trace context of the current span, to be stored or sent with an event."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers


async def publish(bus: Bus, subject: str, event_id: str, payload: bytes, headers: dict[str, str] | None = None) -> None:
    """Store one event; returns when JetStream has it on disk. DependencyUnavailable when it does not answer in time.

    `headers` carry the trace that the event belongs to (default: the current one).
    """
    with tracer.start_as_current_span(
        f"{subject} publish",
        context=propagate.extract(headers) if headers else None,
        kind=trace.SpanKind.PRODUCER,
        attributes={
            "messaging.system": "nats",
            "messaging.destination.name": subject,
            "messaging.message.id": event_id,
        },
    ):
        jetstream = await bus.jetstream()
        try:
            await jetstream.publish(
                subject, payload, timeout=REQUEST_TIMEOUT_S, headers={"Nats-Msg-Id": event_id, **trace_headers()}
            )
        except RETRYABLE as error:
            if isinstance(error, NoStreamResponseError):
                bus.doubt_streams()
            raise DependencyUnavailable("nats") from error
    PUBLISHED.add(1, {"subject": subject})


E = TypeVar("E", bound=Message)


@dataclass(frozen=True)
class Consumer(Generic[E]):
    """A durable pull consumer of one subject.

    `handle` must bear the same event twice. An InvalidInput that it raises, or bytes that are no event, are poison:
    the message goes to the dead letters at once. While something that `handle` needs is away or at its bound, the
    message waits, for as long as it takes: that is no fault of the event. Any other error is tried again after a delay
    that grows, and the message goes to the dead letters after `max_tries` deliveries, crashes of this process included.
    """

    bus: Bus
    stream: str
    subject: str
    durable: str
    event: type[E]
    handle: Callable[[E], Awaitable[None]]
    max_tries: int = 10
    concurrency: int = 16
    ack_wait_s: float = 30.0
    first_delay_s: float = 0.2
    longest_delay_s: float = 30.0
    batch: int = field(default=32)

    async def run(self) -> None:
        """Consume until cancelled; DependencyUnavailable when NATS goes away."""
        try:
            await self._consume()
        except BaseExceptionGroup as failures:
            _, others = failures.split(RETRYABLE)
            if others is not None:
                raise
            raise DependencyUnavailable("nats") from failures
        except RETRYABLE as error:
            raise DependencyUnavailable("nats") from error

    async def _consume(self) -> None:
        self.bus.doubt_streams()
        jetstream = await self.bus.jetstream()
        config = ConsumerConfig(
            durable_name=self.durable,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=self.ack_wait_s,
            max_ack_pending=self.batch * 4,
            filter_subject=self.subject,
        )
        subscription = await jetstream.pull_subscribe(self.subject, self.durable, self.stream, config=config)
        slots = asyncio.Semaphore(self.concurrency)
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    messages = await subscription.fetch(self.batch, timeout=5)
                except TimeoutError:  # nats-py lets asyncio's own out, too
                    await jetstream.consumer_info(self.stream, self.durable)  # raises when the consumer is gone
                    continue
                for message in messages:
                    await slots.acquire()
                    task = tasks.create_task(self._deliver(jetstream, message))
                    task.add_done_callback(lambda _: slots.release())

    async def _deliver(self, jetstream: JetStreamContext, message: Msg) -> None:
        tries = message.metadata.num_delivered
        with tracer.start_as_current_span(
            f"{self.subject} process",
            context=propagate.extract(message.headers or {}),
            kind=trace.SpanKind.CONSUMER,
            attributes={"messaging.system": "nats", "messaging.consumer.group.name": self.durable},
        ) as span:
            outcome = "failed"
            try:
                if tries > self.max_tries:
                    outcome = await self._bury(jetstream, message, f"gave up after {self.max_tries} tries")
                else:
                    await self._handle(message)
                    await message.ack()
                    outcome = "done"
            except (InvalidInput, DecodeError) as error:
                outcome = await self._bury(jetstream, message, f"{type(error).__name__}: {error}")
            except Exception as error:  # noqa: BLE001 - whatever it is, the message must be tried again
                span.record_exception(error)
                delay = min(self.first_delay_s * 2 ** (tries - 1), self.longest_delay_s)
                log.warning("event not handled", subject=self.subject, tries=tries, retry_s=delay, error=repr(error))
                await message.nak(delay=delay)
            HANDLED.add(1, {"subject": self.subject, "outcome": outcome})

    async def _handle(self, message: Msg) -> None:
        """Handle the event; while a retry makes sense, keep it from being delivered anew, and try again."""
        event = self.event.FromString(message.data)
        for delay in backoff.delays(self.first_delay_s, min(self.longest_delay_s, self.ack_wait_s / 6)):
            try:
                await asyncio.wait_for(self.handle(event), self.ack_wait_s)
                return
            except Ai2TextError as error:
                if error.retry_after_s is None:
                    raise
                log.info("event waits", subject=self.subject, retry_s=delay, reason=error.reason, error=str(error))
            await message.in_progress()
            await asyncio.sleep(delay)

    async def _bury(self, jetstream: JetStreamContext, message: Msg, reason: str) -> str:
        """Copy the message to the dead letters with the reason, then end its deliveries."""
        place = message.metadata.sequence.stream
        headers = {
            **(message.headers or {}),
            "Nats-Msg-Id": f"{self.durable}-{self.stream}-{place}",
            "Ai2text-Reason": reason.replace("\n", " ")[:500],
            "Ai2text-Consumer": self.durable,
            "Ai2text-Tries": str(message.metadata.num_delivered),
        }
        await jetstream.publish(f"{DEAD_LETTERS}.{message.subject}", message.data, headers=headers)
        await message.term()
        log.error("event buried", subject=self.subject, sequence=place, reason=reason)
        return "buried"
