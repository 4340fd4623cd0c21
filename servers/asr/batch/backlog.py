"""The events of files that the consumers of the batch server have not done with, as JetStream has them."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence

from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from servers.asr.batch.reminders import Told
from servers.common import events, streams
from servers.common.errors import DependencyUnavailable

READERS = (
    (events.RECORDING_UPLOADED, "RECORDINGS", "batch"),
    (events.TRANSCRIPTION_REQUESTED, "TRANSCRIPTIONS", "batch-requests"),
)
"""Those that transcribe: their subjects, streams and durables."""
AT_ONCE = 256
"""How many events are fetched in one request."""

_FETCH_S = 1.0
_FORGOTTEN_AFTER_S = 30.0


class BusBacklog:
    """A Backlog."""

    def __init__(self, bus: events.Bus) -> None:
        self._bus = bus

    async def waiting(self) -> Sequence[Told]:
        """See Backlog. Some may be among them that are done: those that came after one that is not."""
        try:
            jetstream = await self._bus.jetstream()
            return [told for reader in READERS async for told in _not_done_with(jetstream, *reader)]
        except events.RETRYABLE as error:
            if isinstance(error, NotFoundError):
                self._bus.doubt_streams()
            raise DependencyUnavailable("nats") from error


async def _not_done_with(jetstream: JetStreamContext, subject: str, stream: str, durable: str) -> AsyncIterator[Told]:
    """Read what lies behind the place to which the durable has done with everything, replays to it included."""
    config = ConsumerConfig(
        name=f"reminders-{uuid.uuid4().hex}",
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=await _done(jetstream, stream, durable) + 1,
        ack_policy=AckPolicy.NONE,
        filter_subjects=[subject, streams.replay_subject(durable, subject)],
        inactive_threshold=_FORGOTTEN_AFTER_S,
        mem_storage=True,
    )
    consumer = await jetstream.add_consumer(stream, config)
    subscription = await jetstream.pull_subscribe_bind(consumer.name, stream)
    left = consumer.num_pending or 0
    try:
        while left:
            for message in await subscription.fetch(min(AT_ONCE, left), timeout=_FETCH_S):
                left = message.metadata.num_pending
                yield Told(streams.original_subject(message.subject), message.data)
    finally:
        with contextlib.suppress(*events.RETRYABLE):
            await subscription.unsubscribe()
            await jetstream.delete_consumer(stream, consumer.name)


async def _done(jetstream: JetStreamContext, stream: str, durable: str) -> int:
    """The place; 0 where the durable has not begun to read."""
    try:
        floor = (await jetstream.consumer_info(stream, durable)).ack_floor
    except NotFoundError:
        return 0
    return floor.stream_seq if floor else 0
