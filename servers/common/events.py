"""Events on NATS JetStream: a connection, a publisher, and a consumer that is idempotent by contract of its handler.

What subjects and streams there are is said in `servers.common.streams`.

Events are protobuf messages of `ai2text.events.v1`. Each has an id that depends on its content alone; JetStream drops
a second event with the same id within the duplicate window, and consumers must bear one that comes later.
"""

import asyncio
import contextlib
import functools
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
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NoStreamResponseError, NotFoundError
from opentelemetry import metrics, propagate, trace

from servers.common import backoff, dead_letters
from servers.common.errors import Ai2TextError, DependencyUnavailable, InvalidInput
from servers.common.pulls import Pull
from servers.common.streams import (
    DEAD_LETTERS,
    EMBEDDING_CREATED,
    RECORDING_DELETED,
    RECORDING_UPDATED,
    RECORDING_UPLOADED,
    STREAMS,
    TRANSCRIPT_FINALIZED,
    TRANSCRIPTION_REQUESTED,
    replay_subject,
)
from servers.common.tallies import Tally

__all__ = [
    "DEAD_LETTERS",
    "EMBEDDING_CREATED",
    "RECORDING_DELETED",
    "RECORDING_UPDATED",
    "RECORDING_UPLOADED",
    "TRANSCRIPTION_REQUESTED",
    "TRANSCRIPT_FINALIZED",
    "Bus",
    "Consumer",
    "HandledElsewhere",
    "connected",
    "publish",
    "trace_headers",
]

log = structlog.get_logger(__name__)
tracer = trace.get_tracer(__name__)

_METER = metrics.get_meter("ai2text")
PUBLISHED = Tally(_METER, "ai2text.events.published", "Events stored by JetStream, by subject.", ("subject",))
HANDLED = Tally(_METER, "ai2text.events.handled", "Events handled, by subject and outcome.", ("subject", "outcome"))

REQUEST_TIMEOUT_S = 5.0
FETCH_S = 5.0
"""How long a consumer waits for events before it looks whether it is still there."""

RETRYABLE = (nats.errors.Error, OSError, asyncio.TimeoutError)
"""What a call to NATS raises when the server is away or slow."""


class Bus:
    """One connection to NATS; it connects at the first use and reconnects for ever."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Client | None = None
        self._jetstream: JetStreamContext | None = None
        self._connecting = asyncio.Lock()
        self._streams_known = False

    async def jetstream(self) -> JetStreamContext:
        """The JetStream of a live connection whose streams exist; DependencyUnavailable when NATS is away."""
        if self._jetstream is not None and self._streams_known and self._client and self._client.is_connected:
            return self._jetstream
        async with self._connecting:
            try:
                if self._client is None or self._jetstream is None or self._client.is_closed:
                    self._client = await self._connect()
                    self._jetstream = self._client.jetstream(timeout=REQUEST_TIMEOUT_S)
                if not self._client.is_connected:
                    raise DependencyUnavailable("nats")
                if not self._streams_known:
                    await _ensure_streams(self._jetstream)
                    self._streams_known = True
                return self._jetstream
            except RETRYABLE as error:
                raise DependencyUnavailable("nats") from error

    async def waiting(self, stream: str, durable: str) -> int:
        """How many messages a consumer has not done with: all of the stream where it has not begun to read.

        DependencyUnavailable, also when the stream is gone: it is made anew then.
        """
        jetstream = await self.jetstream()
        try:
            try:
                info = await jetstream.consumer_info(stream, durable)
            except NotFoundError:
                return int((await jetstream.stream_info(stream)).state.messages)
            return (info.num_pending or 0) + (info.num_ack_pending or 0)
        except RETRYABLE as error:
            if isinstance(error, NotFoundError):
                self.doubt_streams()
            raise DependencyUnavailable("nats") from error

    async def pull(self, stream: str, durable: str) -> Pull:
        """What brings the messages of a consumer that is there; DependencyUnavailable."""
        await self.jetstream()
        if self._client is None:
            raise DependencyUnavailable("nats")
        return Pull(self._client, stream, durable)

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
    for config in STREAMS:
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

    `headers` carry the trace that the event belongs to (default: the current one). Publishing has no span of its own in
    it: those who handle the event are children of what made it.
    """
    given = {"Nats-Msg-Id": event_id, **(trace_headers() if headers is None else headers)}
    jetstream = await bus.jetstream()
    try:
        await jetstream.publish(subject, payload, timeout=REQUEST_TIMEOUT_S, headers=given)
    except RETRYABLE as error:
        if isinstance(error, NoStreamResponseError):
            bus.doubt_streams()
        raise DependencyUnavailable("nats") from error
    PUBLISHED.count(subject)


def end_if_cancelled() -> None:
    """A cancellation that comes in the moment in which an answer does can get lost in `asyncio.wait_for` (Python 3.11),
    which the client of NATS waits with for what it has asked: whoever cancelled would wait for ever."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class HandledElsewhere(Exception):
    """Raised by a handler that has found out that the event was delivered again, and is handled there: nothing is said
    of it from here any more, neither that it is done nor that it is to be tried again."""


E = TypeVar("E", bound=Message)


@dataclass(frozen=True)
class Consumer(Generic[E]):
    """A durable pull consumer of one subject, and of the dead letters of this subject that come back to it.

    `handle` must bear the same event twice. An InvalidInput that it raises, or bytes that are no event, are poison:
    the message goes to the dead letters at once. While something that `handle` needs is away or at its bound, the
    message waits, for as long as it takes: that is no fault of the event. Any other error is tried again after a delay
    that grows, and the message goes to the dead letters with the last of them after `max_tries` deliveries, crashes of
    this process included.

    When `run` is cancelled, what is broken off, or was taken and not begun, is given back at once.

    With `limit_s`, one handling may take that long: JetStream hears all the while that the message is being worked on,
    and no more messages are taken than there are slots.
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
    limit_s: float | None = None
    """How long one handling may take, in seconds; None: `ack_wait_s`."""

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
            filter_subjects=[self.subject, replay_subject(self.durable, self.subject)],
        )
        await jetstream.add_consumer(self.stream, config)  # changes the one that is there, and keeps its place
        pull = await self.bus.pull(self.stream, self.durable)
        in_hand: dict[int, Msg] = {}
        try:
            async with asyncio.TaskGroup() as tasks:
                try:
                    await self._take(jetstream, pull, tasks, in_hand)
                finally:
                    with contextlib.suppress(*RETRYABLE):
                        await pull.end()
        except asyncio.CancelledError:  # now that nobody listens here any more: else they would be sent here again
            for message in (*in_hand.values(), *pull.left()):
                with contextlib.suppress(*RETRYABLE):
                    await message.nak()
            raise

    async def _take(
        self, jetstream: JetStreamContext, pull: Pull, tasks: asyncio.TaskGroup, in_hand: dict[int, Msg]
    ) -> None:
        """Handle what comes, until cancelled; `in_hand` is what was taken, and is neither handled nor put off."""
        slots = asyncio.Semaphore(self.concurrency)

        def ended(task: asyncio.Task[None], message: Msg) -> None:
            slots.release()
            if not task.cancelled():
                del in_hand[id(message)]

        await pull.begin()
        while True:
            end_if_cancelled()
            if self.limit_s is not None:  # what is taken and has to wait here is kept from other replicas
                await slots.acquire()
                slots.release()
            messages = await pull.next(self.batch if self.limit_s is None else 1, FETCH_S)
            if not messages:
                await jetstream.consumer_info(self.stream, self.durable)  # raises when the consumer is gone
            in_hand.update((id(message), message) for message in messages)
            for message in messages:
                await slots.acquire()
                task = tasks.create_task(self._deliver(jetstream, message))
                task.add_done_callback(functools.partial(ended, message=message))

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
                    async with self._kept_alive(message):
                        await self._handle(message)
                    await message.ack()
                    outcome = "done"
            except HandledElsewhere:
                outcome = "elsewhere"
            except (InvalidInput, DecodeError) as error:
                outcome = await self._bury(jetstream, message, f"{type(error).__name__}: {error}")
            except Exception as error:  # noqa: BLE001 - whatever it is, the message must be tried again
                span.record_exception(error)
                outcome = await self._put_off(jetstream, message, error)
            HANDLED.count(self.subject, outcome)

    async def _put_off(self, jetstream: JetStreamContext, message: Msg, error: Exception) -> str:
        """Have the message delivered again after a delay that grows; after the last try bury it."""
        tries = message.metadata.num_delivered
        if tries >= self.max_tries:
            return await self._bury(jetstream, message, f"gave up after {tries} tries: {type(error).__name__}: {error}")
        delay = min(self.first_delay_s * 2 ** (tries - 1), self.longest_delay_s)
        log.warning("event not handled", subject=self.subject, tries=tries, retry_s=delay, error=repr(error))
        await message.nak(delay=delay)
        return "failed"

    async def _handle(self, message: Msg) -> None:
        """Handle the event; while a retry makes sense, keep it from being delivered anew, and try again."""
        event = self.event.FromString(message.data)
        for delay in backoff.delays(self.first_delay_s, min(self.longest_delay_s, self.ack_wait_s / 6)):
            try:
                async with asyncio.timeout(self.limit_s or self.ack_wait_s):
                    await self.handle(event)
                return
            except Ai2TextError as error:
                if error.retry_after_s is None:
                    raise
                log.info("event waits", subject=self.subject, retry_s=delay, reason=error.reason, error=str(error))
            await message.in_progress()
            await asyncio.sleep(delay)

    @contextlib.asynccontextmanager
    async def _kept_alive(self, message: Msg) -> AsyncIterator[None]:
        """While the block runs, JetStream hears that the message is being worked on, if that may take long."""
        if self.limit_s is None:
            yield
            return
        beating = asyncio.create_task(self._beat(message))
        try:
            yield
        finally:
            beating.cancel()

    async def _beat(self, message: Msg) -> None:
        while True:
            await asyncio.sleep(self.ack_wait_s / 3)
            with contextlib.suppress(*RETRYABLE):  # the connection comes back, or `run` ends
                await message.in_progress()

    async def _bury(self, jetstream: JetStreamContext, message: Msg, reason: str) -> str:
        """Copy the message to the dead letters with the reason, then end its deliveries."""
        headers = dead_letters.headers_of(message, self.durable, self.event, reason)
        await jetstream.publish(dead_letters.subject_of(message), message.data, headers=headers)
        await message.term()
        place = message.metadata.sequence.stream
        log.error("event buried", subject=self.subject, consumer=self.durable, sequence=place, reason=reason)
        return "buried"
