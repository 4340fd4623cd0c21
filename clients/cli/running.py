"""How a command runs: traced, connected, in one event loop."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import TypeVar

import typer

from clients.cli import terminal, tracing
from clients.cli.connection import Connect, Connection, connected
from clients.cli.setup import Setup

T = TypeVar("T")


def setup_of(context: typer.Context) -> Setup:
    """The settings that the group's callback read."""
    setup = context.find_object(Setup)
    if setup is None:
        raise RuntimeError("a command ran without the group's callback")
    return setup


def connected_run(setup: Setup, name: str, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Runs `work` with a connection, within a span called `name`. Raises Problem."""

    async def with_connection(connect: Connect) -> T:
        async with connect() as connection:
            return await work(connection)

    return connecting_run(setup, name, with_connection)


def connecting_run(setup: Setup, name: str, work: Callable[[Connect], Awaitable[T]]) -> T:
    """Runs `work`, which connects by itself and as often as it has to, within a span called `name`. Raises Problem."""

    async def run(connect: Connect) -> T:
        return await work(connect)

    with tracing.started(setup, name) as trace:
        if setup.verbose:
            terminal.notes().print(f"edge {setup.endpoint} · trace {trace.id or 'none (no collector)'}", style="dim")
        return asyncio.run(run(functools.partial(connected, setup, trace.tracers)))
