"""Continuous batching: clips join a running batch whenever they come, and leave it whenever they are done.

What becomes of a clip is a generator, a Talk, that stops at each pass of the decoder that it wants. A Batch goes on
with all its talks in turns, and those passes of one turn that can go together are one. Workers are threads with a batch
each, which share the networks: ONNX Runtime holds no lock of Python's while it computes.

Orca has the idea (Yu et al., 2022): scheduling by iteration instead of by request.
"""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeAlias, TypeVar

from jobs import grouped
from passes import Pass, Ran

T = TypeVar("T")
Talk: TypeAlias = Generator[Pass, Ran, T]


@dataclass(frozen=True)
class Spent:
    """Seconds of a talk: from its beginning to its end, and its share of the thread's work, of a pass that several
    share the part for its texts."""

    took: float
    worked: float


Answer: TypeAlias = Callable[[T | Exception, Spent], object]
"""Is told what came of a talk."""

LONGEST_QUEUE = 64
SWITCH_SECONDS = 0.0005
"""Python's threads take turns ten times as often as by default: a worker that comes back from a pass has little to do
before the next, and must not wait for another that times words."""


@dataclass(eq=False)
class _Member(Generic[T]):
    """A talk in the batch, and the pass that it waits for."""

    talk: Talk[T]
    answer: Answer[T]
    wanted: Pass | None = None
    began: float = 0.0
    worked: float = 0.0


class Batch(Generic[T]):
    """Talks that go on together, in one thread."""

    def __init__(self) -> None:
        self._members: list[_Member[T]] = []

    def __len__(self) -> int:
        return len(self._members)

    def join(self, talk: Talk[T], answer: Answer[T]) -> "_Member[T]":
        """Keep a place for a talk, which has to `begin`."""
        member = _Member(talk, answer)
        self._members.append(member)
        return member

    def begin(self, member: "_Member[T]") -> None:
        """Let a talk go to the first pass that it wants."""
        member.began = time.perf_counter()
        self._advance(member, lambda: next(member.talk))

    def go_on(self) -> None:
        """One turn: the pass that each talk wants, and what it does with it. Talks that end are answered and leave."""
        for members in grouped(list(self._members), _company):
            wanted = members[0].wanted
            most = wanted.decoder.clips if wanted is not None else 1
            for at in range(0, len(members), most):
                self._pass(members[at : at + most])

    def _pass(self, members: list[_Member[T]]) -> None:
        began = time.perf_counter()
        passes = [member.wanted for member in members if member.wanted is not None]
        try:
            results = passes[0].decoder.run(passes)
        except (RuntimeError, ValueError) as fault:
            if len(members) == 1:
                self._advance(members[0], partial(members[0].talk.throw, fault))
            else:  # it may be the fault of one alone
                for member in members:
                    self._pass([member])
            return
        spent = time.perf_counter() - began
        texts = sum(len(each.texts) for each in passes)
        for member, each, ran in zip(members, passes, results, strict=True):
            member.worked += spent * len(each.texts) / texts
            self._advance(member, partial(member.talk.send, ran))

    def _advance(self, member: _Member[T], on: Callable[[], Pass]) -> None:
        """Go on to the next pass; or to the end."""
        began = time.perf_counter()
        outcome: T | Exception
        try:
            member.wanted = on()
            member.worked += time.perf_counter() - began
            return
        except StopIteration as end:
            outcome = end.value
        except Exception as fault:  # noqa: BLE001 - whatever it is, somebody waits for an answer, and others go on
            outcome = fault
        self._members.remove(member)
        ended = time.perf_counter()
        member.answer(outcome, Spent(ended - member.began, member.worked + ended - began))


def _company(member: _Member[T]) -> object:
    """Members with the same go through one pass."""
    wanted = member.wanted
    return wanted.decoder if wanted is not None and wanted.goes_together else member


class QueueFull(Exception):
    """More waits than may."""


class Workers(Generic[T]):
    """Threads that answer talks, each in a batch of its own."""

    def __init__(self, count: int, together: int) -> None:
        """So many threads, each with up to `together` talks at a time."""
        sys.setswitchinterval(SWITCH_SECONDS)
        self._together = together
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Talk[T], Answer[T]]] = deque()
        self._batches: list[Batch[T]] = [Batch() for _ in range(count)]
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._work, args=(batch,), name=f"batch-{place}", daemon=True)
            for place, batch in enumerate(self._batches)
        ]
        for thread in self._threads:
            thread.start()

    def take(self, talk: Talk[T], answer: Answer[T]) -> None:
        """Begin a talk as soon as one of the batches has room; the least busy takes it. Raises QueueFull."""
        with self._changed:
            if self._stopped or len(self._waiting) >= LONGEST_QUEUE:
                raise QueueFull
            self._waiting.append((talk, answer))
            self._changed.notify_all()

    def stop(self) -> None:
        """Answer all that was taken, and end the threads."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self, batch: Batch[T]) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: batch or self._stopped or self._is_next(batch))
                taken = self._waiting.popleft() if self._is_next(batch) else None
                if taken is None and not batch:
                    return
                member = batch.join(*taken) if taken is not None else None
            if member is not None:
                batch.begin(member)
            batch.go_on()

    def _is_next(self, batch: Batch[T]) -> bool:
        """Whether something waits, and this batch has room for it and no more in it than any other."""
        fewest = min(len(each) for each in self._batches)
        return bool(self._waiting) and len(batch) == fewest and fewest < self._together
