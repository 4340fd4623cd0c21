"""Tickets of live sessions in memory. They pass the same suite as Valkey does: `tests/stores/test_asr_tickets.py`."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from servers.asr.results import Final
from servers.asr.tickets import KEPT_FINALS, Found, Ticket
from servers.common.errors import DependencyUnavailable


@dataclass
class MemoryTickets:
    """A TicketStore in which one thing happens after another."""

    ttl_s: float = 300.0
    down: bool = False
    """Whether every method raises DependencyUnavailable, as when Valkey is away."""
    tickets: dict[str, Ticket] = field(default_factory=dict)
    finals: dict[str, dict[int, Final]] = field(default_factory=dict)
    expiries: dict[str, float] = field(default_factory=dict)

    async def save(self, ticket: Ticket, finals: Sequence[Final] = ()) -> bool:
        """See TicketStore."""
        known = self._known(ticket.session_id)
        if known and known.epoch > ticket.epoch:
            return False
        kept = self.finals.setdefault(ticket.session_id, {})
        kept.update({final.final_index: final for final in finals})
        for index in [index for index in kept if index < ticket.final_index - KEPT_FINALS]:
            del kept[index]
        self._keep(ticket)
        return True

    async def find(self, session_id: str, tenant: str, subject: str, secret: str) -> Found | None:
        """See TicketStore."""
        known = self._known(session_id)
        if known is None or (known.tenant, known.subject, known.secret) != (tenant, subject, secret):
            return None
        return self._with_finals(known)

    async def claim(self, session_id: str, tenant: str, subject: str, secret: str) -> Found | None:
        """See TicketStore."""
        found = await self.find(session_id, tenant, subject, secret)
        if found is None:
            return None
        ticket = replace(found.ticket, epoch=found.ticket.epoch + 1)
        self._keep(ticket)
        return replace(found, ticket=ticket)

    def _with_finals(self, ticket: Ticket) -> Found:
        finals: list[Final] = []
        while (final := self.finals[ticket.session_id].get(ticket.final_index - 1 - len(finals))) is not None:
            finals.insert(0, final)
        return Found(ticket, tuple(finals))

    def _known(self, session_id: str) -> Ticket | None:
        if self.down:
            raise DependencyUnavailable("valkey")
        if asyncio.get_running_loop().time() >= self.expiries.get(session_id, 0):
            self.tickets.pop(session_id, None)
            self.finals.pop(session_id, None)
        return self.tickets.get(session_id)

    def _keep(self, ticket: Ticket) -> None:
        self.tickets[ticket.session_id] = ticket
        self.expiries[ticket.session_id] = asyncio.get_running_loop().time() + self.ttl_s
