"""A pool of connections to Postgres whose transactions see the rows of one tenant only."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from servers.common.errors import DependencyUnavailable

T = TypeVar("T")

Connection = psycopg.AsyncConnection[TupleRow]

UNAVAILABLE = (psycopg.OperationalError, PoolTimeout, psycopg.errors.QueryCanceled)


class Database:
    """Bounded pool; connects in the background, so that a server can start before Postgres does."""

    def __init__(self, pool: AsyncConnectionPool[Any], wait_s: float) -> None:
        self._pool = pool
        self._wait_s = wait_s

    @asynccontextmanager
    async def transaction(self, tenant: str | None) -> AsyncIterator[Connection]:
        """One transaction as `tenant`: row-level security hides the rows of all others.

        None is the server itself, for rows that have no tenant or for the outbox. DependencyUnavailable when Postgres
        is away, or does not answer within the statement's time.
        """
        try:
            connection = await self._begun(tenant or "")
            try:
                async with connection:  # commits, or rolls back
                    yield connection
            finally:
                await self._pool.putconn(connection)
        except UNAVAILABLE as error:
            raise DependencyUnavailable("postgres") from error

    async def idempotent(self, statement: LiteralString, values: Sequence[Any]) -> Any:
        """What one statement answers in its first column, None without a row. It is a transaction of its own.

        It must say itself as which tenant it runs, and bear being run twice: a connection that has died in the pool
        shows only when it is used. DependencyUnavailable as above.
        """

        async def ask(connection: Connection) -> Any:
            row = await (await connection.execute(statement, values)).fetchone()
            return row[0] if row else None

        try:
            connection, answer = await self._alive(ask)
        except UNAVAILABLE as error:
            raise DependencyUnavailable("postgres") from error
        await self._pool.putconn(connection)
        return answer

    async def _begun(self, tenant: str) -> Connection:
        """A connection in a transaction as `tenant`."""

        async def begin(connection: Connection) -> None:
            async with connection.pipeline():  # both statements on one way
                await connection.execute("BEGIN")
                await connection.execute("SELECT set_config('ai2text.tenant', %s, true)", (tenant,))

        return (await self._alive(begin))[0]

    async def _alive(self, use: Callable[[Connection], Awaitable[T]]) -> tuple[Connection, T]:
        """A connection that could be used, and what came of it.

        Connections die in the pool: all have when Postgres was started anew. That shows at the first use, which loses
        nothing; so none is asked beforehand whether it lives, which would be one more way to Postgres.
        """
        for _ in range(self._pool.max_size + 1):  # all may have died
            connection: Connection = await self._pool.getconn(self._wait_s)
            try:
                return connection, await use(connection)
            except BaseException as error:
                await self._pool.putconn(connection)
                if not (isinstance(error, psycopg.OperationalError) and connection.closed):
                    raise
        raise DependencyUnavailable("postgres")

    async def check(self) -> None:
        """Raise when Postgres does not answer."""
        async with self.transaction(None) as connection:
            await connection.execute("SELECT 1")


@asynccontextmanager
async def connected(
    dsn: str, *, max_size: int = 10, wait_s: float = 3.0, statement_timeout_s: float = 5.0
) -> AsyncIterator[Database]:
    """A database whose connections are closed at the end of the block; a transaction waits `wait_s` for one at most.

    The pool gives a failed connection up after a second and tries anew at the next call: its own pauses would double
    without bound, and keep a server from a Postgres that is long back.
    """
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        dsn,
        min_size=1,
        max_size=max_size,
        max_waiting=100,
        open=False,
        reconnect_timeout=1.0,
        kwargs={
            "autocommit": True,  # transactions begin where `Database` says so
            "connect_timeout": 3,
            # A host that is gone says nothing: notice it in seconds, not after the kernel's quarter of an hour.
            "tcp_user_timeout": 5000,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "options": f"-c statement_timeout={int(statement_timeout_s * 1000)} -c lock_timeout=3000",
        },
    )
    await pool.open(wait=False)
    try:
        yield Database(pool, wait_s)
    finally:
        await asyncio.wait_for(pool.close(), 5)
