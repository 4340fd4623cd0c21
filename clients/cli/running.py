"""How a command runs: traced, connected, in one event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import typer

from clients.cli import terminal, tracing
from clients.cli.connection import Connection, connected
from clients.cli.setup import Setup

T = TypeVar("T")
Work = Callable[[Connection], Awaitable[T]]


def setup_of(context: typer.Context) -> Setup:
    """The settings that the group's callback read."""
    setup = context.find_object(Setup)
    if setup is None:
        raise RuntimeError("a command ran without the group's callback")
    return setup


def connected_run(setup: Setup, name: str, work: Work[T]) -> T:
    """Runs `work` with a connection, within a span called `name`. Raises Problem."""
    with tracing.started(setup, name) as trace:
        if setup.verbose:
            terminal.notes().print(f"edge {setup.endpoint} · trace {trace.id or 'none (no collector)'}", style="dim")
        return asyncio.run(_connected(setup, trace, work))


async def _connected(setup: Setup, trace: tracing.Trace, work: Work[T]) -> T:
    async with connected(setup, trace.tracers) as connection:
        return await work(connection)
