"""DeadLetterService: translation between the contract and the domain, nothing else."""

from typing import Any, TypeAlias

import grpc
from ai2text.admin.v1 import dead_letter_service_pb2, dead_letter_service_pb2_grpc
from google.protobuf import json_format
from google.protobuf.message import DecodeError

from servers.admin.dead_letters import DeadLetter, DeadLetters, Filters
from servers.common import identity, lifecycle, streams
from servers.common.errors import FieldInvalid

SCOPE = "admin"

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class DeadLetterService(dead_letter_service_pb2_grpc.DeadLetterServiceServicer):
    """See `dead_letter_service.proto`."""

    def __init__(self, letters: DeadLetters) -> None:
        self._letters = letters

    async def ListDeadLetters(
        self, request: dead_letter_service_pb2.ListDeadLettersRequest, context: Context
    ) -> dead_letter_service_pb2.ListDeadLettersResponse:
        """List a page, the oldest first."""
        identity.require(context, SCOPE)
        page = await self._letters.page(_filters(request), request.page_size, request.page_token)
        return dead_letter_service_pb2.ListDeadLettersResponse(
            dead_letters=map(_message, page.letters), next_page_token=page.next_token, total_count=page.total
        )

    async def GetDeadLetter(
        self, request: dead_letter_service_pb2.GetDeadLetterRequest, context: Context
    ) -> dead_letter_service_pb2.GetDeadLetterResponse:
        """Return one with its payload, also as JSON."""
        identity.require(context, SCOPE)
        letter, payload = await self._letters.get(request.dead_letter_id)
        return dead_letter_service_pb2.GetDeadLetterResponse(
            dead_letter=_message(letter), payload=payload, event_json=_event_json(letter.subject, payload)
        )

    async def ReplayDeadLetters(
        self, request: dead_letter_service_pb2.ReplayDeadLettersRequest, context: Context
    ) -> dead_letter_service_pb2.ReplayDeadLettersResponse:
        """Hand some back to their consumers."""
        identity.require(context, SCOPE)
        done = await self._letters.replay(*_selected(request))
        return dead_letter_service_pb2.ReplayDeadLettersResponse(
            replayed_count=done.replayed, orphaned_count=done.orphaned
        )

    async def DiscardDeadLetters(
        self, request: dead_letter_service_pb2.DiscardDeadLettersRequest, context: Context
    ) -> dead_letter_service_pb2.DiscardDeadLettersResponse:
        """Remove some for good."""
        identity.require(context, SCOPE)
        count = await self._letters.discard(*_selected(request))
        return dead_letter_service_pb2.DiscardDeadLettersResponse(discarded_count=count)


def _filters(
    given: dead_letter_service_pb2.ListDeadLettersRequest | dead_letter_service_pb2.DeadLetterSelection,
    within: str = "",
) -> Filters:
    if given.subject and streams.topic(given.subject) is None:
        raise FieldInvalid(f"{within}subject", f"must be one of {', '.join(topic.subject for topic in streams.TOPICS)}")
    return Filters(given.subject, given.consumer, given.tenant)


def _selected(
    request: dead_letter_service_pb2.ReplayDeadLettersRequest | dead_letter_service_pb2.DiscardDeadLettersRequest,
) -> tuple[list[str], Filters]:
    if not request.HasField("selection"):
        raise FieldInvalid("selection", "is missing; an empty one is all dead letters")
    return list(request.selection.dead_letter_ids), _filters(request.selection, "selection.")


def _event_json(subject: str, payload: bytes) -> str:
    """The event as JSON; empty when the payload is none."""
    topic = streams.topic(subject)
    try:
        return json_format.MessageToJson(topic.event.FromString(payload), indent=None) if topic else ""
    except (DecodeError, ValueError, json_format.Error):  # a time may be beyond what JSON can say
        return ""


def _message(letter: DeadLetter) -> dead_letter_service_pb2.DeadLetter:
    message = dead_letter_service_pb2.DeadLetter(
        dead_letter_id=letter.letter_id,
        subject=letter.subject,
        consumer=letter.consumer,
        reason=letter.reason,
        tries=letter.tries,
        tenant=letter.tenant,
        event_id=letter.event_id,
        trace_id=letter.trace_id,
        payload_bytes=letter.payload_bytes,
    )
    message.bury_time.FromDatetime(letter.buried_at)
    return message


def mount(letters: DeadLetters) -> lifecycle.Mount:
    """Adds DeadLetterService to a server."""

    def add(server: grpc.aio.Server) -> str:
        dead_letter_service_pb2_grpc.add_DeadLetterServiceServicer_to_server(DeadLetterService(letters), server)
        return dead_letter_service_pb2.DESCRIPTOR.services_by_name["DeadLetterService"].full_name

    return add
