"""Who is told of what there is, as NATS knows them."""

import uuid

from nats.js.errors import NotFoundError

from servers.common import events, streams
from servers.common.errors import DependencyUnavailable

(_FINALIZED,) = (topic for topic in streams.TOPICS if topic.subject == streams.TRANSCRIPT_FINALIZED)
TOLD = ("EMBEDDINGS", "RECORDINGS", "TRANSCRIPTS")
"""The streams that an index is filled from, by way of embeddings or without."""


class BusListeners:
    """A Listeners, of the readers of `transcript.finalized` and whoever looks at RETELLINGS; and a Streams."""

    def __init__(self, bus: events.Bus) -> None:
        self._bus = bus

    async def waiting(self) -> int:
        """See Listeners."""
        return sum([await self._bus.waiting(_FINALIZED.stream, durable) for durable in _FINALIZED.readers])

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
            if isinstance(error, NotFoundError):
                self._bus.doubt_streams()
            raise DependencyUnavailable("nats") from error
        return ", ".join(f"{stream} {time.isoformat() if time else ''}" for stream, time in made)
