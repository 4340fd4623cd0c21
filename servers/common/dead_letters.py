"""Dead letters: messages that were given up, whole, in a stream of their own, with what is known of them in headers."""

from collections.abc import Mapping

from google.protobuf.message import DecodeError, Message
from nats.aio.msg import Msg

from servers.common import streams

REASON = "Ai2text-Reason"
CONSUMER = "Ai2text-Consumer"
TRIES = "Ai2text-Tries"
STREAM = "Ai2text-Stream"
SEQUENCE = "Ai2text-Sequence"
TENANT = "Ai2text-Tenant"
EVENT_ID = "Ai2text-Event-Id"
MESSAGE_ID = "Nats-Msg-Id"

LONGEST_REASON = 500
LONGEST_NAME = 200


def subject_of(message: Msg) -> str:
    """Where the dead letter of a message goes."""
    return f"{streams.DEAD_LETTERS}.{streams.original_subject(message.subject)}"


def headers_of(message: Msg, durable: str, event: type[Message], reason: str) -> dict[str, str]:
    """The headers of a dead letter: those of the event, such as its trace, and why it was given up, and by whom.

    The message id is the same for as often as one delivery is given up, so that there is one dead letter of it.
    """
    place = message.metadata
    tenant, event_id = _names(event, message.data)
    return {
        **_own(message.headers or {}),
        MESSAGE_ID: f"{durable}-{place.stream}-{place.sequence.stream}",
        REASON: _line(reason, LONGEST_REASON),
        CONSUMER: durable,
        TRIES: str(place.num_delivered),
        STREAM: place.stream,
        SEQUENCE: str(place.sequence.stream),
        TENANT: tenant,
        EVENT_ID: event_id,
    }


def replayed(headers: Mapping[str, str], message_id: str) -> dict[str, str]:
    """The headers with which a dead letter goes back: without what was known of its death, under a new message id."""
    return _own(headers) | {MESSAGE_ID: message_id}


def _own(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of the event itself, less those of one storing, such as the stream it was for, or of a death."""
    return {name: value for name, value in headers.items() if not name.startswith(("Ai2text-", "Nats-"))}


def _names(event: type[Message], payload: bytes) -> tuple[str, str]:
    """Whose it is, and its id; empty when the payload is no event."""
    try:
        found = event.FromString(payload)
    except DecodeError:
        return "", ""
    return _line(getattr(found, "tenant", ""), LONGEST_NAME), _line(getattr(found, "event_id", ""), LONGEST_NAME)


def _line(text: str, longest: int) -> str:
    """`text` as the value of a header: one line of printable characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:longest]
