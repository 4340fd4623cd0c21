"""Reads what a stream of JetStream holds, beside its durable consumers and without a trace."""

import contextlib
import uuid
from collections.abc import AsyncGenerator, Sequence

from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from servers.common import events

AT_ONCE = 256
"""How many messages are fetched in one request."""

_FETCH_S = 1.0
_FORGOTTEN_AFTER_S = 30.0


async def messages_after(
    jetstream: JetStreamContext, stream: str, after: int, subjects: Sequence[str], headers_only: bool = False
) -> AsyncGenerator[Msg, None]:
    """The messages of these subjects that there are behind a place, oldest first; what comes later is not among them.

    They are read with a consumer that lasts for as long as the iteration, and is forgotten 30 s after it was left.
    Raises what the client of NATS raises.
    """
    config = ConsumerConfig(
        name=f"reading-{uuid.uuid4().hex}",
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=after + 1,
        ack_policy=AckPolicy.NONE,
        filter_subjects=list(subjects),
        headers_only=headers_only,
        inactive_threshold=_FORGOTTEN_AFTER_S,
        mem_storage=True,
    )
    consumer = await jetstream.add_consumer(stream, config)
    subscription = await jetstream.pull_subscribe_bind(consumer.name, stream)
    left = consumer.num_pending or 0
    try:
        while left:
            try:
                messages = await subscription.fetch(min(AT_ONCE, left), timeout=_FETCH_S)
            except TimeoutError:  # what was left has been removed meanwhile
                left = (await jetstream.consumer_info(stream, consumer.name)).num_pending or 0
                continue
            for message in messages:
                left = message.metadata.num_pending
                yield message
    finally:
        with contextlib.suppress(*events.RETRYABLE):
            await subscription.unsubscribe()
            await jetstream.delete_consumer(stream, consumer.name)
