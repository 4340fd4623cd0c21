"""Who is told of what there is, as NATS knows them."""

import uuid

from nats.js.errors import NotFoundError

from servers.common import events, streams
from servers.common.errors import DependencyUnavailable

_FINALIZED = streams.topic(streams.TRANSCRIPT_FINALIZED)
TOLD = ("EMBEDDINGS", "RECORDINGS", "TRANSCRIPTS")
"""The streams that an index is filled from, by way of embeddings or without."""


class BusListeners:
    """A Listeners, of the readers of `transcript.finalized` and whoever looks at RETELLINGS; and a Streams."""

    def __init__(self, bus: events.Bus) -> None:
        self._bus = bus

    async def waiting(self) -> int:
        """See Listeners."""
        assert _FINALIZED is not None
        try:
            return sum([await self._waiting(_FINALIZED.stream, durable) for durable in _FINALIZED.readers])
        except events.RETRYABLE as error:
            raise self._away(error) from error

    async def announce(self, goes_on: bool) -> None:
        """See Listeners."""
        said = streams.GOES_ON if goes_on else streams.IS_OVER
        await events.publish(self._bus, streams.RETELLING, str(uuid.uuid4()), said)

    async def name(self) -> str:
        """See Streams."""
        jetstream = await self._bus.jetstream()
        try:
            made = [(stream, (await jetstream.stream_info(stream)).created) for stream in TOLD]
        except events.RETRYABLE as error:
            raise self._away(error) from error
        return ", ".join(f"{stream} {time.isoformat() if time else ''}" for stream, time in made)

    async def _waiting(self, stream: str, durable: str) -> int:
        jetstream = await self._bus.jetstream()
        try:
            info = await jetstream.consumer_info(stream, durable)
        except NotFoundError:  # it has not read yet: everything that is there waits
            return int((await jetstream.stream_info(stream)).state.messages)
        return (info.num_pending or 0) + (info.num_ack_pending or 0)

    def _away(self, error: BaseException) -> DependencyUnavailable:
        if isinstance(error, NotFoundError):
            self._bus.doubt_streams()
        return DependencyUnavailable("nats")
