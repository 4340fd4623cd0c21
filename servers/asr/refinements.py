"""Better texts of the finals of one channel, after they were told. The newest one counts.

A final is refined by itself at once. When its passage is over, it is heard once more as a whole, if it is not too long
and the model has time, for one that was not torn apart plenty of it; each final gets its share, refined with its
neighbours in view. Only what is written otherwise than what the client has is told.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any

from servers.asr.passage import LONGEST_S, Passage, hear_again
from servers.asr.results import Final, Happening, Refinement, Times
from servers.asr.scheduling import Scheduler
from servers.asr.utterance import Manner, seen
from servers.asr.wording import Refiner, reads_whole, wholeness
from servers.common.errors import DependencyUnavailable

MAX_HEARING = 2
"""Passages that may wait to be heard again; those beyond are not."""

Tell = Callable[[Happening], Awaitable[None]]
"""Tells the client; waits while too much is untold."""


class Refinements:
    """Works beside the session. Its tasks are few: a final's ends with the refiner's deadline, and no final is told
    while the client does not read."""

    def __init__(
        self, refiner: Refiner, scheduler: Scheduler, manner: Manner, tell: Tell, *, wanted: bool = True
    ) -> None:
        self._refiner = refiner
        self._scheduler = scheduler
        self._manner = manner
        self._tell = tell
        self.wanted = wanted
        self._tasks: set[asyncio.Task[Any]] = set()
        self._hearing = 0

    def of_final(self, passage: Passage, final: Final) -> None:
        """A final of the passage was told."""
        if self.wanted:
            passage.shown[final.final_index] = self._begin(self._refine_final(final))

    def of_passage(self, passage: Passage) -> None:
        """Nothing is added to a passage any more; the finals of its last utterances may still be to come."""
        if self.wanted:
            load = self._scheduler.load
            worth_it = not load.hurried if len(passage.utterances) > 1 else load.at_ease
            again = worth_it and passage.seconds <= LONGEST_S and self._hearing < MAX_HEARING
            self._begin(self._refine_passage(passage, again))
            self._hearing += again

    async def done(self, timeout_s: float) -> None:
        """Wait until all is told, for a while."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)

    def close(self) -> None:
        """Stop everything."""
        for task in self._tasks:
            task.cancel()

    def _begin(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(seen)
        return task

    async def _refine_final(self, final: Final) -> str:
        """The text that the client has of it then."""
        return await self._refine(_unchanged(final), reads_whole(final.text), {final.text})

    async def _refine_passage(self, passage: Passage, again: bool) -> None:
        try:
            await passage.complete.wait()
            better = await self._heard_again(passage) if again else []
        finally:
            self._hearing -= again
        better = better or [_unchanged(final) for final in passage.told]
        whole = wholeness([each.text for each in better], over=passage.over)
        for final, each, is_whole in zip(passage.told, better, whole, strict=True):
            await self._refine(each, is_whole, {final.text, await passage.shown[final.final_index]})

    async def _heard_again(self, passage: Passage) -> list[Refinement]:
        with suppress(DependencyUnavailable):
            return await hear_again(passage, self._scheduler, self._manner)
        return []

    async def _refine(self, found: Refinement, whole: bool, shown: set[str]) -> str:
        """Tell what is found, in better words, unless it was shown before: what the client has is not taken back when
        the refiner is away. Its text."""
        began = time.perf_counter()
        text = found.text and await self._refiner.refine(found.text, found.language, whole)
        if text not in shown:
            times = replace(found.times, post_s=found.times.post_s + time.perf_counter() - began)
            await self._tell(replace(found, text=text, times=times))
        return text


def _unchanged(final: Final) -> Refinement:
    """A final as its own refinement."""
    return Refinement(
        final.final_index, final.text, final.words, final.language, final.confidence, final.channel, Times()
    )
