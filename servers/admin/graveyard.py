"""The stream DLQ as the Graveyard of the domain."""

import contextlib
from collections.abc import AsyncGenerator, Iterator, Mapping
from datetime import UTC, datetime

from nats.js import JetStreamContext
from nats.js.errors import APIError, NotFoundError
from opentelemetry import propagate, trace

from servers.admin.dead_letters import DeadLetter, Fate
from servers.common import dead_letters, events, rereading, streams
from servers.common.errors import DependencyUnavailable

# What the server says of a message that is gone: when it looks for it, and when another deletion was a moment faster.
_GONE = frozenset({10057, 10043})


class DeadLetterStream:
    """Letters are read without their payloads, unless one is asked for."""

    def __init__(self, bus: events.Bus) -> None:
        self._bus = bus

    async def count(self) -> int:
        """See Graveyard."""
        with _away():
            return (await (await self._bus.jetstream()).stream_info(streams.DLQ)).state.messages

    async def newest(self) -> int:
        """See Graveyard."""
        with _away():
            return (await (await self._bus.jetstream()).stream_info(streams.DLQ)).state.last_seq

    async def letters(self, after: int, subject: str) -> AsyncGenerator[DeadLetter, None]:
        """See Graveyard. Reads with a consumer that lasts for as long as the iteration."""
        with _away():
            jetstream = await self._bus.jetstream()
            subjects = [f"{streams.DEAD_LETTERS}.{subject or '>'}"]
            reading = rereading.messages_after(jetstream, streams.DLQ, after, subjects, headers_only=True)
            async with contextlib.aclosing(reading) as messages:
                async for message in messages:
                    place, headers = message.metadata, message.headers or {}
                    size = int(headers.get("Nats-Msg-Size", 0))
                    yield _letter(place.sequence.stream, message.subject, headers, place.timestamp, size)

    async def find(self, sequence: int) -> tuple[DeadLetter, bytes] | None:
        """See Graveyard."""
        with _away():
            found = await _read(await self._bus.jetstream(), sequence)
        return (found[0], found[2]) if found else None

    async def replay(self, letter: DeadLetter) -> Fate:
        """See Graveyard. Done twice at the same time it is stored once: the message id is that of the letter."""
        with _away():
            jetstream = await self._bus.jetstream()
            found = await _read(jetstream, letter.sequence)
            if found is None or found[0].message_id != letter.message_id:
                return Fate.GONE
            stream = await _stream_of(jetstream, letter)
            if stream is None:
                return Fate.ORPHANED
            target = streams.replay_subject(letter.consumer, letter.subject)
            headers = dead_letters.replayed(found[1], f"replay-{letter.letter_id}")
            stored = await jetstream.publish(target, found[2], stream=stream, headers=headers)
            removed = await _remove(jetstream, letter)
            return Fate.REPLAYED if removed and not stored.duplicate else Fate.GONE

    async def remove(self, letter: DeadLetter) -> bool:
        """See Graveyard."""
        with _away():
            return await _remove(await self._bus.jetstream(), letter)


async def _read(jetstream: JetStreamContext, sequence: int) -> tuple[DeadLetter, dict[str, str], bytes] | None:
    if sequence < 1:  # the server takes 0 for none given
        return None
    try:
        raw = await jetstream.get_msg(streams.DLQ, sequence, direct=True)
    except NotFoundError:
        return None
    payload, headers = raw.data or b"", dict(raw.headers or {})
    return _letter(sequence, raw.subject or "", headers, raw.time or datetime.now(UTC), len(payload)), headers, payload


async def _stream_of(jetstream: JetStreamContext, letter: DeadLetter) -> str | None:
    """The stream whose consumer takes the letter back; None when there is no such consumer."""
    topic = streams.topic(letter.subject)
    if topic is None or not letter.consumer:
        return None
    try:
        config = (await jetstream.consumer_info(topic.stream, letter.consumer)).config
    except NotFoundError:
        return None
    target = streams.replay_subject(letter.consumer, letter.subject)
    return topic.stream if target in (config.filter_subjects or ()) else None


async def _remove(jetstream: JetStreamContext, letter: DeadLetter) -> bool:
    try:
        return await jetstream.delete_msg(streams.DLQ, letter.sequence)
    except APIError as error:
        if error.err_code in _GONE:
            return False
        raise


def _letter(sequence: int, subject: str, headers: Mapping[str, str], buried_at: datetime, size: int) -> DeadLetter:
    span = trace.get_current_span(propagate.extract(headers)).get_span_context()
    return DeadLetter(
        sequence=sequence,
        message_id=headers.get(dead_letters.MESSAGE_ID, ""),
        subject=subject.removeprefix(f"{streams.DEAD_LETTERS}."),
        consumer=headers.get(dead_letters.CONSUMER, ""),
        reason=headers.get(dead_letters.REASON, ""),
        tries=int(headers.get(dead_letters.TRIES, 0)),
        buried_at=buried_at,
        tenant=headers.get(dead_letters.TENANT, ""),
        event_id=headers.get(dead_letters.EVENT_ID, ""),
        trace_id=f"{span.trace_id:032x}" if span.is_valid else "",
        payload_bytes=size,
    )


@contextlib.contextmanager
def _away() -> Iterator[None]:
    """Within the block what NATS raises becomes DependencyUnavailable."""
    try:
        yield
    except events.RETRYABLE as error:
        raise DependencyUnavailable("nats") from error
