"""The events of a contract as one AsyncAPI 3 document."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from google.protobuf.compiler import plugin_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool

from openapi.comments import Comments
from openapi.schemas import Json, Schemas

SUBJECT = re.compile(r"Subject: `([a-z]+(?:\.[a-z]+)*)`,\s+stream ([A-Z]+)\.")
PUBLISHED = re.compile(r"Published\b[^.]*\.")

CONTENT_TYPE = "application/protobuf"

SERVERS: Json = {
    "jetstream": {
        "host": "{host}:{port}",
        "protocol": "nats",
        "description": "NATS JetStream. It is within the mesh: no client reaches it.",
        "variables": {"host": {"default": "127.0.0.1"}, "port": {"default": "4222"}},
    }
}

HEADERS: Json = {
    "type": "object",
    "required": ["Nats-Msg-Id"],
    "properties": {
        "Nats-Msg-Id": {
            "type": "string",
            "description": "The id of the event: JetStream drops a second message with the same id within two minutes.",
        },
        "traceparent": {
            "type": "string",
            "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
            "description": "The W3C trace context that the event belongs to.",
        },
        "tracestate": {"type": "string", "description": "What goes with `traceparent`."},
    },
}


@dataclass(frozen=True)
class Event:
    """A message that says in its comment where it is published."""

    message: Descriptor
    subject: str
    stream: str
    comment: str

    @property
    def published(self) -> str:
        """The sentence that says by whom."""
        found = PUBLISHED.search(self.comment)
        return found[0].rstrip(".") if found else "Published"

    @property
    def about(self) -> str:
        """The first sentence."""
        return self.comment.partition(". ")[0].rstrip(".")


def document(request: plugin_pb2.CodeGeneratorRequest) -> Json:
    """The whole document for the files that are to be generated. ValueError when two events have one subject."""
    options = dict(option.partition("=")[::2] for option in request.parameter.split(",") if option)
    pool = DescriptorPool()
    for file in request.proto_file:
        pool.Add(file)
    comments = Comments(list(request.proto_file))
    asked = [pool.FindFileByName(name) for name in sorted(request.file_to_generate)]
    events = sorted(_events((m for file in asked for m in file.message_types_by_name.values()), comments), key=_subject)
    schemas = Schemas(comments)
    messages = {event.message.name: _message(event, schemas) for event in events}
    if len({event.subject for event in events}) < len(events) or len(messages) < len(events):
        raise ValueError("two events have the same subject or the same name")
    return {
        "asyncapi": "3.0.0",
        "info": {"title": options.get("title", "Events"), "version": options.get("version", "v1")},
        "defaultContentType": CONTENT_TYPE,
        "servers": SERVERS,
        "channels": {event.subject: _channel(event) for event in events},
        "operations": {f"publish{event.message.name}": _operation(event) for event in events},
        "components": {
            "messages": messages,
            "messageTraits": {"event": {"contentType": CONTENT_TYPE, "headers": HEADERS}},
            "schemas": dict(sorted(schemas.written.items())),
        },
    }


def _subject(event: Event) -> str:
    return event.subject


def _events(messages: Iterable[Descriptor], comments: Comments) -> Iterator[Event]:
    for message in messages:
        comment = comments.of(message.full_name).get("description", "")
        if found := SUBJECT.search(comment):
            yield Event(message, found[1], found[2], comment)


def _channel(event: Event) -> Json:
    return {
        "address": event.subject,
        "title": event.about,
        "description": f"Kept in the stream {event.stream}.",
        "messages": {event.message.name: {"$ref": f"#/components/messages/{event.message.name}"}},
    }


def _operation(event: Event) -> Json:
    channel = f"#/channels/{event.subject}"
    return {
        "action": "send",
        "channel": {"$ref": channel},
        "summary": event.published,
        "messages": [{"$ref": f"{channel}/messages/{event.message.name}"}],
    }


def _message(event: Event, schemas: Schemas) -> Json:
    return {
        "name": event.message.full_name,
        "title": event.message.name,
        "summary": event.about,
        "description": f"{event.comment}\n\nThe bytes are the protobuf message `{event.message.full_name}`; the schema "
        "of the payload shows its JSON form.",
        "contentType": CONTENT_TYPE,
        "traits": [{"$ref": "#/components/messageTraits/event"}],
        "payload": schemas.message(event.message),
    }
