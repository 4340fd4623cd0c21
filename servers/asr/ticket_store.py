"""Tickets in Valkey: one hash for each session, changed by scripts, so that every step is one round trip and atomic.

The hash holds `epoch`, `turn` (the number of the newest save), `owner`, `config`, `ticket`, and each kept final under
its index. It is one key, so that all of a session goes at once when it expires or has to make room.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import structlog
from pydantic import TypeAdapter, ValidationError
from valkey.asyncio import Valkey
from valkey.commands.core import AsyncScript
from valkey.exceptions import ValkeyError

from servers.asr.results import Final
from servers.asr.tickets import KEPT_FINALS, Found, Ticket
from servers.common import valkey
from servers.common.errors import DependencyUnavailable

log = structlog.get_logger(__name__)

MAX_CONNECTIONS = 16

_SAVE = """
local epoch, turn = tonumber(ARGV[1]), tonumber(ARGV[2])
local known = redis.call('HMGET', KEYS[1], 'epoch', 'turn')
local known_epoch, known_turn = tonumber(known[1] or -1), tonumber(known[2] or -1)
if known_epoch > epoch then return 0 end
if known_epoch < epoch or known_turn < turn then
    redis.call('HSET', KEYS[1],
        'epoch', ARGV[1], 'turn', ARGV[2], 'owner', ARGV[5], 'config', ARGV[6], 'ticket', ARGV[7])
end
for at = 8, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1]) end
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    local index = tonumber(field)
    if index and index < tonumber(ARGV[4]) then redis.call('HDEL', KEYS[1], field) end
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
"""A save that was given up on may still arrive, after a later one: its turn tells, and the ticket does not go back."""

_FIND = """
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return false end
return redis.call('HGETALL', KEYS[1])
"""

_CLAIM = """
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return false end
redis.call('HINCRBY', KEYS[1], 'epoch', 1)
redis.call('HDEL', KEYS[1], 'turn')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('HGETALL', KEYS[1])
"""


class ValkeyTickets:
    """A TicketStore. After Valkey failed to answer, saves fail at once for `pause_s`: no final waits for it twice."""

    def __init__(self, client: Valkey, ttl_s: float = 300.0, timeout_s: float = 0.3, pause_s: float = 1.0) -> None:
        self._save: AsyncScript = client.register_script(_SAVE)
        self._find: AsyncScript = client.register_script(_FIND)
        self._claim: AsyncScript = client.register_script(_CLAIM)
        self._ticket = TypeAdapter(Ticket)
        self._final = TypeAdapter(Final)
        self._ttl_ms = int(ttl_s * 1000)
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._paused_until: float | None = None
        self._turns = itertools.count()

    async def save(self, ticket: Ticket, finals: Sequence[Final] = ()) -> bool:
        """See TicketStore."""
        self._heed_pause()
        arguments: list[str | bytes | int] = [
            ticket.epoch,
            next(self._turns),
            self._ttl_ms,
            ticket.final_index - KEPT_FINALS,
            _owner(ticket.tenant, ticket.subject, ticket.secret),
            ticket.config,
            self._ticket.dump_json(replace(ticket, config=b"")),
        ]
        for final in finals[-KEPT_FINALS:]:
            arguments += (final.final_index, self._final.dump_json(final))
        return bool(await self._run(self._save, ticket.session_id, arguments))

    async def find(self, session_id: str, tenant: str, subject: str, secret: str) -> Found | None:
        """See TicketStore."""
        return self._found(session_id, await self._run(self._find, session_id, [_owner(tenant, subject, secret)]))

    async def claim(self, session_id: str, tenant: str, subject: str, secret: str) -> Found | None:
        """See TicketStore."""
        arguments: list[str | bytes | int] = [_owner(tenant, subject, secret), self._ttl_ms]
        return self._found(session_id, await self._run(self._claim, session_id, arguments))

    def _found(self, session_id: str, answer: object) -> Found | None:
        if not isinstance(answer, list):
            return None
        fields = dict(zip(answer[::2], answer[1::2], strict=True))
        try:
            return self._read(fields)
        except ValidationError as error:  # another version of this server wrote it, in a form that is not ours
            log.warning("ticket unreadable", session=session_id, error=repr(error))
            return None

    def _read(self, fields: Mapping[bytes, bytes]) -> Found:
        ticket = self._ticket.validate_json(fields[b"ticket"])
        ticket = replace(ticket, config=fields[b"config"], epoch=int(fields[b"epoch"]))
        finals: list[Final] = []
        for index in range(ticket.final_index - 1, ticket.final_index - 1 - KEPT_FINALS, -1):
            if (written := fields.get(b"%d" % index)) is None:  # a save failed: what lies before it is of no use
                break
            finals.append(self._final.validate_json(written))
        return Found(ticket, tuple(reversed(finals)))

    def _heed_pause(self) -> None:
        """DependencyUnavailable while Valkey is left alone. After that one save tries, and the others still fail."""
        now = asyncio.get_running_loop().time()
        if self._paused_until is None:
            return
        if now < self._paused_until:
            raise DependencyUnavailable("valkey")
        self._paused_until = now + self._pause_s

    async def _run(self, script: AsyncScript, session_id: str, arguments: Sequence[str | bytes | int]) -> object:
        try:
            async with asyncio.timeout(self._timeout_s):
                answer: object = await script([f"ai2text:asr:session:{session_id}"], arguments)
        except (ValkeyError, OSError) as error:  # a TimeoutError is an OSError
            if self._paused_until is None:
                log.warning("valkey does not answer", error=repr(error))
            self._paused_until = asyncio.get_running_loop().time() + self._pause_s
            raise DependencyUnavailable("valkey") from error
        if self._paused_until is not None:
            log.info("valkey answers again")
            self._paused_until = None
        return answer


def _owner(tenant: str, subject: str, secret: str) -> str:
    """Who may claim a session, as one text. The secret is a hash: how long a comparison takes betrays nothing."""
    return json.dumps([tenant, subject, secret])


@asynccontextmanager
async def connect(url: str, ttl_s: float = 300.0, timeout_s: float = 0.3) -> AsyncIterator[ValkeyTickets]:
    """The tickets at `valkey://host:port`, until the end of the block."""
    async with valkey.connected(url, timeout_s, MAX_CONNECTIONS) as client:
        yield ValkeyTickets(client, ttl_s, timeout_s)
