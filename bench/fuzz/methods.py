"""The rpcs of the contract, as their descriptors tell."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.api import annotations_pb2
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from servers.common.lifecycle import PUBLIC_SERVICES

VARIABLE = re.compile(r"\{([^}=]+)(?:=[^}]*)?\}")

WAITING_S = {
    "WaitOperation": 1.5,
    "WatchSession": 1.5,
}
"""The methods that answer when something happens: how long they are listened to, in seconds."""
DEADLINE_S = 15.0
"""How long any other method may take; two of them wait for 5 s by their contract."""


@dataclass(frozen=True)
class Binding:
    """One way to call a method with JSON."""

    verb: str
    template: str
    """Such as `/v1/recordings/{recording_id}`."""
    body: str
    """The field that the body is; `*` for the whole message, empty for none."""


@dataclass(frozen=True)
class Method:
    """One rpc."""

    descriptor: MethodDescriptor

    @property
    def name(self) -> str:
        """`Service.Method`, for people."""
        return f"{self.descriptor.containing_service.name}.{self.descriptor.name}"

    @property
    def path(self) -> str:
        """As HTTP/2 has it."""
        return f"/{self.descriptor.containing_service.full_name}/{self.descriptor.name}"

    @property
    def streams(self) -> bool:
        """Whether the caller sends a stream."""
        return self.descriptor.client_streaming

    @property
    def request(self) -> type[Message]:
        """The class of what is sent."""
        return message_factory.GetMessageClass(self.descriptor.input_type)

    @property
    def response(self) -> type[Message]:
        """The class of what is answered."""
        return message_factory.GetMessageClass(self.descriptor.output_type)

    @property
    def waits(self) -> bool:
        """Whether it is no fault that it has not answered in time."""
        return self.descriptor.name in WAITING_S

    @property
    def deadline_s(self) -> float:
        """How long to wait for it to end."""
        return WAITING_S.get(self.descriptor.name, DEADLINE_S)

    def bindings(self) -> list[Binding]:
        """How it may be called with JSON; none when it cannot."""
        rule: Any = self.descriptor.GetOptions().Extensions[annotations_pb2.http]
        found = [one for one in (rule, *rule.additional_bindings) if one.WhichOneof("pattern")]
        return [Binding(one.WhichOneof("pattern"), getattr(one, one.WhichOneof("pattern")), one.body) for one in found]


def public() -> Sequence[Method]:
    """Every method of every service that the edge serves, those that end sessions and files last in their service."""
    pool = descriptor_pool.Default()
    return [Method(method) for name in PUBLIC_SERVICES for method in pool.FindServiceByName(name).methods]
