"""Sessions whose client has gone: kept for a while to be resumed, and then finished."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from servers.asr.keeping import TicketKeeper
from servers.asr.session import Session
from servers.common.errors import Ai2TextError, InvalidInput, SessionTakenOver

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.5
"""How often a session is asked whether somebody has resumed it elsewhere."""


@dataclass(frozen=True, eq=False)
class Guest:
    """A session that has a place here."""

    session_id: str
    session: Session
    keeper: TicketKeeper
    runner: asyncio.Task[None]
    """Makes its finals."""
    leave: Callable[[], None]
    """Gives its place back."""

    def end(self) -> None:
        """Stop everything, finished or not."""
        self.runner.cancel()
        self.session.close()
        self.leave()


class Parking:
    """Sessions without a client."""

    def __init__(self, parked_s: float, farewell_s: float, closing_s: float) -> None:
        """See `servers.asr.live.Limits`."""
        self._parked_s = parked_s
        self._farewell_s = farewell_s
        self._closing_s = closing_s
        self._closing = False
        self._farewells: dict[str, asyncio.Task[None]] = {}

    def park(self, guest: Guest) -> None:
        """Keep a session; when nobody resumes it, finish it, within a bound."""

        def buried(farewell: asyncio.Task[None]) -> None:  # also when it was cancelled before it began
            if self._farewells.get(guest.session_id) is farewell:
                del self._farewells[guest.session_id]
            guest.end()

        guest.session.mute()
        farewell = asyncio.create_task(self._farewell(guest))
        farewell.add_done_callback(buried)
        self._farewells[guest.session_id] = farewell

    def __contains__(self, session_id: str) -> bool:
        """Whether a session is here."""
        return session_id in self._farewells

    async def release(self, session_id: str) -> None:
        """Somebody has resumed a session that may be here: leave what is open to them. Its place is free then."""
        if (farewell := self._farewells.get(session_id)) is not None:
            farewell.cancel()
            await asyncio.wait([farewell])

    def hurry(self) -> None:
        """The server is about to stop: wait for clients no longer than it can."""
        self._closing = True

    async def close(self) -> None:
        """Let the sessions end, for a while: whoever stops us does not wait for ever."""
        self.hurry()
        if self._farewells:
            await asyncio.wait(self._farewells.values(), timeout=self._closing_s)

    async def _farewell(self, guest: Guest) -> None:
        try:
            if not guest.session.refused:
                await self._wait_for_client(guest)
            async with asyncio.timeout(self._farewell_s):
                await guest.session.settle()
                with suppress(InvalidInput):  # what came before is audio
                    await guest.session.finish()
                await guest.runner
        except SessionTakenOver:
            log.info("session resumed elsewhere", session=guest.session_id)
        except (TimeoutError, Ai2TextError) as error:
            log.warning("session left unfinished", session=guest.session_id, error=repr(error))

    async def _wait_for_client(self, guest: Guest) -> None:
        """Return when nobody has come back in time, or all is said. SessionTakenOver when somebody has, elsewhere."""
        loop = asyncio.get_running_loop()
        parked, closing = loop.time(), 0.0
        while loop.time() - parked < self._parked_s and not guest.runner.done():
            await guest.keeper.save(guest.session.progress)
            await asyncio.sleep(LOOK_EVERY_S)
            closing += LOOK_EVERY_S if self._closing else 0.0
            if closing > self._closing_s / 2:
                return
