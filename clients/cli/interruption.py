"""Ctrl-C while a stream runs: once ends the audio and waits for the last words, twice gives up at once."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator

ABORTED = 130
"""The exit code of a shell command that SIGINT ended."""


class Aborted(Exception):
    """The user pressed Ctrl-C twice."""


@contextlib.contextmanager
def ending(stop: asyncio.Event, tell: Callable[[], None]) -> Iterator[None]:
    """Within the block the first SIGINT sets `stop` and calls `tell`; the second cancels the task: raises Aborted.

    A third falls to the system, which ends the process, should a device hang.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    aborted = False

    def interrupted() -> None:
        nonlocal aborted
        if not stop.is_set():
            stop.set()
            tell()
        elif task is not None:
            aborted = True
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            task.cancel()

    loop.add_signal_handler(signal.SIGINT, interrupted)
    try:
        yield
    except asyncio.CancelledError:
        if aborted:
            raise Aborted from None
        raise
    finally:
        if not aborted:
            loop.remove_signal_handler(signal.SIGINT)
