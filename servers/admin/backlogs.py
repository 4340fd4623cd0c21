"""How far the consumers are behind, and how many letters are dead, as metrics.

Measured here for all consumers, not by each for itself: a backlog matters most when the server that should work it off
is away.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo, RawStreamMsg
from nats.js.errors import NotFoundError
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from servers.common import events, streams
from servers.common.errors import DependencyUnavailable

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Backlog:
    """Of one consumer."""

    durable: str
    subject: str
    waiting: int
    """How many events it was not given yet."""
    unacknowledged: int
    """How many it was given and has not done with."""
    oldest_s: float
    """For how long the oldest that it has not done with has been there; 0 when there is none."""


@dataclass(frozen=True)
class Measurement:
    """What was seen at one time."""

    backlogs: tuple[Backlog, ...] = ()
    dead: Mapping[str, int] = field(default_factory=dict)
    """How many letters are dead, by the subject of the event."""


async def measure(jetstream: JetStreamContext) -> Measurement:
    """Ask NATS."""
    names = dict.fromkeys(topic.stream for topic in streams.TOPICS)
    backlogs = [
        await _backlog(jetstream, consumer) for name in names for consumer in await jetstream.consumers_info(name)
    ]
    dead = (await jetstream.stream_info(streams.DLQ, subjects_filter=">")).state.subjects or {}
    prefix = f"{streams.DEAD_LETTERS}."
    counts = {topic.subject: 0 for topic in streams.TOPICS} | {
        subject.removeprefix(prefix): count for subject, count in dead.items()
    }
    return Measurement(tuple(backlogs), counts)


async def _backlog(jetstream: JetStreamContext, consumer: ConsumerInfo) -> Backlog:
    subjects = consumer.config.filter_subjects or [consumer.config.filter_subject or ">"]
    waiting, unacknowledged = consumer.num_pending or 0, consumer.num_ack_pending or 0
    oldest_s = 0.0
    if waiting or unacknowledged:
        done = consumer.ack_floor.stream_seq if consumer.ack_floor else 0
        times = [await _time_of_next(jetstream, consumer.stream_name, done + 1, subject) for subject in subjects]
        now = datetime.now(UTC)
        oldest_s = max(((now - time).total_seconds() for time in times if time), default=0.0)
    return Backlog(consumer.name, subjects[0], waiting, unacknowledged, max(0.0, oldest_s))


async def _time_of_next(jetstream: JetStreamContext, stream: str, sequence: int, subject: str) -> datetime | None:
    """When the first message at or after a place came in."""
    try:
        message: RawStreamMsg = await jetstream.get_msg(stream, sequence, subject=subject, next=True)
    except NotFoundError:
        return None
    return message.time


class Gauges:
    """The metrics of the last measurement. While NATS is away there are none, rather than old ones."""

    def __init__(self, bus: events.Bus, every_s: float) -> None:
        self._bus = bus
        self._every_s = every_s
        self._last = Measurement()
        meter = metrics.get_meter("ai2text")
        meter.create_observable_gauge(
            "ai2text.events.backlog",
            [lambda _: self._each((one, one.waiting + one.unacknowledged) for one in self._last.backlogs)],
            description="Events that a consumer has not done with.",
        )
        meter.create_observable_gauge(
            "ai2text.events.oldest",
            [lambda _: self._each((one, one.oldest_s) for one in self._last.backlogs)],
            unit="s",
            description="For how long the oldest event that a consumer has not done with has been there.",
        )
        meter.create_observable_gauge(
            "ai2text.events.dead_letters", [self._dead], description="Dead letters, by the subject of the event."
        )

    @staticmethod
    def _each(values: Iterable[tuple[Backlog, float]]) -> Iterator[Observation]:
        for one, value in values:
            yield Observation(value, {"consumer": one.durable, "subject": one.subject})

    def _dead(self, _: CallbackOptions) -> Iterator[Observation]:
        for subject, count in self._last.dead.items():
            yield Observation(count, {"subject": subject})

    async def run(self) -> None:
        """Measure until cancelled; DependencyUnavailable when NATS is away."""
        try:
            while True:
                self._last = await measure(await self._bus.jetstream())
                await asyncio.sleep(self._every_s)
        except events.RETRYABLE as error:
            raise DependencyUnavailable("nats") from error
        finally:
            self._last = Measurement()
