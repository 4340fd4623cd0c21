"""Keeps a session's ticket up to date, and hands its finals on to be stored."""

import hashlib
import secrets
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from opentelemetry import metrics

from servers.asr.results import Final
from servers.asr.session import Progress
from servers.asr.tickets import KEPT_FINALS, Ticket, TicketStore
from servers.common.errors import DependencyUnavailable, SessionTakenOver

_METER = metrics.get_meter("ai2text")
UNTICKETED = _METER.create_counter("ai2text.asr.unticketed", description="Tickets that could not be written.")


class TicketKeeper:
    """Writes each final into the session's ticket before it is told: so no final is lost, and none is made twice."""

    def __init__(self, tickets: TicketStore, ticket: Ticket, store_final: Callable[[Final], None]) -> None:
        self.ticket = ticket
        self.saved = progress_of(ticket)
        self._tickets = tickets
        self._store_final = store_final
        self._unsaved: deque[Final] = deque(maxlen=KEPT_FINALS)

    async def keep(self, final: Final, progress: Progress) -> None:
        """See Keeper."""
        self._unsaved.append(final)
        await self.save(progress)
        self._store_final(final)

    @property
    def behind(self) -> bool:
        """Whether finals were told that no ticket has: who resumed the session now would be told that it has fewer."""
        return bool(self._unsaved)

    async def save(self, progress: Progress) -> None:
        """Write the ticket; SessionTakenOver when the session is no longer ours. Without a store it goes on."""
        self.ticket = replace(self.ticket, **vars(progress))
        try:
            saved = list(self._unsaved)
            ours = await self._tickets.save(self.ticket, saved)
        except DependencyUnavailable:
            UNTICKETED.add(1)
            return
        if not ours:
            raise SessionTakenOver("the session goes on over another connection")
        self.saved = max(self.saved, progress, key=lambda each: (each.final_index, each.settled))
        for final in saved:
            with suppress(ValueError):  # two saves at once
                self._unsaved.remove(final)


def progress_of(ticket: Ticket) -> Progress:
    """How far the session of a ticket has come."""
    return Progress(ticket.settled, ticket.final_index, ticket.language, ticket.detector_states, ticket.said)


def new_token() -> str:
    """A secret with which a session can be resumed."""
    return secrets.token_urlsafe(24)


def hashed(token: str) -> str:
    """What a ticket has of a token."""
    return hashlib.sha256(token.encode()).hexdigest()
