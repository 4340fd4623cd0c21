"""The events of files that the consumers of the batch server have not done with, as JetStream has them."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from servers.asr.batch.reminders import Told
from servers.common import events, rereading, streams
from servers.common.errors import DependencyUnavailable

READERS = (
    (events.RECORDING_UPLOADED, "RECORDINGS", "batch"),
    (events.TRANSCRIPTION_REQUESTED, "TRANSCRIPTIONS", "batch-requests"),
)
"""Those that transcribe: their subjects, streams and durables."""


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
    after = await _done(jetstream, stream, durable)
    subjects = [subject, streams.replay_subject(durable, subject)]
    async with contextlib.aclosing(rereading.messages_after(jetstream, stream, after, subjects)) as messages:
        async for message in messages:
            yield Told(streams.original_subject(message.subject), message.data)


async def _done(jetstream: JetStreamContext, stream: str, durable: str) -> int:
    """The place; 0 where the durable has not begun to read."""
    try:
        floor = (await jetstream.consumer_info(stream, durable)).ack_floor
    except NotFoundError:
        return 0
    return floor.stream_seq if floor else 0
