"""Work that nobody waits for goes beside the work that somebody does, and leaves it the processor."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

NICENESS = 5
"""How much less a thread that makes way wants the processor: a third of what another thread gets where there is not
enough for all. SCHED_IDLE would leave next to nothing, and what was said is to be found within two seconds."""


def making_way(name: str, threads: int = 1) -> ThreadPoolExecutor:
    """Threads of a low priority, for good: to want more again takes a privilege."""
    return ThreadPoolExecutor(threads, name, initializer=_make_way)


def _make_way() -> None:
    thread = threading.get_native_id()  # to Linux a thread is a process that has a priority of its own
    os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)
