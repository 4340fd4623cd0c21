"""New segments for the search server, the way that all come: as `embedding.created` over NATS."""

import asyncio
import uuid
from dataclasses import dataclass

from ai2text.events.v1 import embedding_events_pb2, recording_events_pb2, transcript_events_pb2

from bench.search.contents import LANGUAGE, TENANT, Contents
from servers.common import events

BLOCK = 1_000_000
"""From this block on the drawn vectors are nobody else's."""


@dataclass(frozen=True)
class Arrived:
    """What became of the new segments."""

    published: int
    waiting: int
    """Those that search had not taken in when the last of them was there."""


class Arrivals:
    """A recording that grows, and is deleted in the end."""

    def __init__(self, nats_url: str, durable: str, contents: Contents) -> None:
        """`durable` is the consumer that takes them into the index."""
        self._url = nats_url
        self._durable = durable
        self._model = contents.model_name
        self._vectors = contents.cloud.block(BLOCK)
        self._texts = contents.sentences.block(BLOCK)
        self._recording = str(uuid.uuid4())

    async def keep_coming(self, rate: float, seconds: float) -> Arrived:
        """`rate` segments a second for so long."""
        loop, count = asyncio.get_running_loop(), round(rate * seconds)
        async with events.connected(self._url) as bus:
            async with asyncio.TaskGroup() as tasks:
                began = loop.time()
                for number in range(count):
                    await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
                    event = self._event(number)
                    tasks.create_task(
                        events.publish(bus, events.EMBEDDING_CREATED, event.event_id, event.SerializeToString())
                    )
            return Arrived(count, await bus.waiting("EMBEDDINGS", self._durable))

    async def go(self) -> None:
        """Have all of them deleted."""
        event = recording_events_pb2.RecordingDeleted(
            event_id=str(uuid.uuid4()), tenant=TENANT, recording_id=self._recording
        )
        async with events.connected(self._url) as bus:
            await events.publish(bus, events.RECORDING_DELETED, event.event_id, event.SerializeToString())

    def _event(self, number: int) -> embedding_events_pb2.EmbeddingCreated:
        segment = transcript_events_pb2.SegmentContent(
            recording_id=self._recording, transcript_id=self._recording, segment_id=str(uuid.uuid4()),
            start_ms=number * 1000, end_ms=number * 1000 + 900, text=self._texts[number], language_code=LANGUAGE,
        )  # fmt: skip
        return embedding_events_pb2.EmbeddingCreated(
            event_id=str(uuid.uuid4()), tenant=TENANT, segment=segment, model=self._model, vector=self._vectors[number]
        )
