"""The events that could not be handled: listed, read, replayed, discarded."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any

from ai2text.admin.v1 import dead_letter_service_pb2
from ai2text.admin.v1.dead_letter_service_pb2_grpc import DeadLetterServiceStub
from rich.table import Table
from rich.text import Text

from clients.cli.connection import Connection

PAGE_SIZE = 200
MOST_LETTERS = 1_000_000
IDS_AT_ONCE = 1000
"""How many letters one call may name."""
DEADLINE_S = 30.0
"""Of a call that may move many letters."""


@dataclass(frozen=True)
class Choice:
    """Which letters are meant: those named, or all, less those that the filters leave out.

    Only what names letters is ever sent to be replayed or discarded: all means all that the user could know of.
    """

    ids: tuple[str, ...] = ()
    subject: str = ""
    consumer: str = ""
    tenant: str = ""

    def selections(self) -> Iterator[dead_letter_service_pb2.DeadLetterSelection]:
        """The named ones in the contract's words, IDS_AT_ONCE at a time; none when none is named."""
        for at in range(0, len(self.ids), IDS_AT_ONCE):
            yield dead_letter_service_pb2.DeadLetterSelection(
                dead_letter_ids=self.ids[at : at + IDS_AT_ONCE],
                subject=self.subject,
                consumer=self.consumer,
                tenant=self.tenant,
            )


@dataclass(frozen=True)
class Found:
    """Some letters, and how many there are in all, whatever the filters."""

    letters: Sequence[dead_letter_service_pb2.DeadLetter]
    total: int


class DeadLetters:
    """Everything this command asks of the admin server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = DeadLetterServiceStub(connection.channel)

    async def oldest(self, choice: Choice, limit: int) -> Found:
        """Up to `limit` of the letters that pass the filters, the oldest first, page by page."""
        letters: list[dead_letter_service_pb2.DeadLetter] = []
        token = ""
        while True:
            request = dead_letter_service_pb2.ListDeadLettersRequest(
                page_size=min(PAGE_SIZE, limit - len(letters)),
                page_token=token,
                subject=choice.subject,
                consumer=choice.consumer,
                tenant=choice.tenant,
            )
            page = await self._connection.call(self._stub.ListDeadLetters, request)
            letters += page.dead_letters
            token = page.next_page_token
            if not token or len(letters) >= limit:
                return Found(letters, page.total_count)

    async def get(self, letter_id: str) -> dead_letter_service_pb2.GetDeadLetterResponse:
        """One letter with its payload. Raises Refusal (NOT_FOUND)."""
        request = dead_letter_service_pb2.GetDeadLetterRequest(dead_letter_id=letter_id)
        return await self._connection.call(self._stub.GetDeadLetter, request)

    async def meant(self, choice: Choice) -> Choice:
        """The choice with a name for each letter that is meant and there now; what is buried later is not."""
        found = (await self.oldest(replace(choice, ids=()), MOST_LETTERS)).letters
        wanted = frozenset(choice.ids)
        ids = (letter.dead_letter_id for letter in found)
        return replace(choice, ids=tuple(one for one in ids if not wanted or one in wanted))

    async def replay(self, choice: Choice) -> dead_letter_service_pb2.ReplayDeadLettersResponse:
        """Hand the named letters back to their consumers."""
        replayed = orphaned = 0
        for selection in choice.selections():
            request = dead_letter_service_pb2.ReplayDeadLettersRequest(selection=selection)
            done = await self._connection.call(self._stub.ReplayDeadLetters, request, DEADLINE_S)
            replayed, orphaned = replayed + done.replayed_count, orphaned + done.orphaned_count
        return dead_letter_service_pb2.ReplayDeadLettersResponse(replayed_count=replayed, orphaned_count=orphaned)

    async def discard(self, choice: Choice) -> int:
        """Remove the named letters for good."""
        discarded = 0
        for selection in choice.selections():
            request = dead_letter_service_pb2.DiscardDeadLettersRequest(selection=selection)
            done = await self._connection.call(self._stub.DiscardDeadLetters, request, DEADLINE_S)
            discarded += done.discarded_count
        return discarded


def table(letters: Sequence[dead_letter_service_pb2.DeadLetter]) -> Table:
    """The letters as people read them."""
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    shown.add_column("id", style="cyan", no_wrap=True)
    shown.add_column("given up", no_wrap=True)
    shown.add_column("subject", no_wrap=True)
    shown.add_column("consumer", overflow="fold")
    shown.add_column("tenant", overflow="fold")
    shown.add_column("tries", justify="right")
    shown.add_column("reason", overflow="fold", ratio=1)
    for letter in letters:
        shown.add_row(
            letter.dead_letter_id,
            given_up(letter),
            *(Text(field) for field in (letter.subject, letter.consumer, letter.tenant)),
            str(letter.tries),
            Text(letter.reason),
        )
    return shown


def given_up(letter: dead_letter_service_pb2.DeadLetter) -> str:
    """When it was given up, in local time."""
    return letter.bury_time.ToDatetime(tzinfo=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def record(letter: dead_letter_service_pb2.DeadLetter) -> dict[str, Any]:
    """A letter as JSON writes it."""
    return {
        "dead_letter_id": letter.dead_letter_id,
        "subject": letter.subject,
        "consumer": letter.consumer,
        "reason": letter.reason,
        "tries": letter.tries,
        "bury_time": letter.bury_time.ToJsonString(),
        "tenant": letter.tenant,
        "event_id": letter.event_id,
        "trace_id": letter.trace_id,
        "payload_bytes": letter.payload_bytes,
    }


def event(answer: dead_letter_service_pb2.GetDeadLetterResponse) -> Any:
    """The event as an object; None when the payload is none."""
    return json.loads(answer.event_json) if answer.event_json else None
