"""Tickets: what another server needs to go on with a session. To lose them costs no more than the chance to resume."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import Base64Bytes

from servers.asr.results import Final

KEPT_FINALS = 64
"""Finals that a ticket keeps, the newest: those that a client may not have seen when its connection was lost."""


@dataclass(frozen=True)
class Ticket:
    """One session, as far as it has come. Positions are samples since it began."""

    session_id: str
    tenant: str
    subject: str
    secret: str
    """The SHA-256 of the resume token, in hex."""
    config: bytes
    """How the session is to be transcribed, as its client said it; nobody looks into it here."""
    recording_id: str
    """Empty when nothing is stored."""
    transcript_ids: tuple[str, ...]
    """One for each channel; none when nothing is stored."""
    epoch: int = 0
    """Raised by each claim: who holds an older one has lost the session."""
    settled: tuple[int, ...] = (0,)
    """For each channel the position before which all is said; the audio after it must be sent again."""
    final_index: int = 0
    """How many finals there are."""
    language: str = ""
    """The language of the newest final; empty before."""
    detector_states: tuple[Base64Bytes, ...] = ()
    """For each channel the state of the voice detector where the audio must be sent again; empty where not known."""
    said: tuple[int, ...] = ()
    """For each channel where its newest utterance that is settled ended; none in tickets of earlier servers."""


@dataclass(frozen=True)
class Found:
    """What is kept of a session."""

    ticket: Ticket
    finals: tuple[Final, ...]
    """Those that were kept, oldest first, without gaps up to `ticket.final_index`."""


class TicketStore(Protocol):
    """Where tickets are. Every method raises DependencyUnavailable when it does not answer at once."""

    async def save(self, ticket: Ticket, finals: Sequence[Final] = ()) -> bool:
        """Write the ticket and the finals that are new in it, in one step; False, and nothing written, when somebody
        has claimed the session since. A ticket that was lost is written anew. It lasts for its time to live from the
        last save on."""
        ...

    async def find(self, session_id: str, tenant: str, subject: str, secret: str) -> Found | None:
        """Look at a session; None when there is none of this caller with this secret."""
        ...

    async def claim(self, session_id: str, tenant: str, subject: str, secret: str) -> Found | None:
        """Find a session and take it over, in one step: its ticket comes with the epoch raised."""
        ...
