"""Better texts of the finals of one channel, after they were told. The newest one counts.

A final is refined by itself at once. When its passage is over, it is heard once more as a whole, if it is not too long
and the model has time; each final gets its share, refined with its neighbours in view. One that was not torn apart has
less to gain, and waits a while for a moment in which the model has plenty of time. Only what is written otherwise than
what the client has is told.
"""

import asyncio
import math
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
MAX_PATIENT = 2
"""Passages that may wait for the model to be at ease; those beyond are not heard again unless it is."""
PATIENCE_S, LAST_PATIENCE_S = 10.0, 1.0
"""How long one waits for that; and how long when the session ends, for then somebody waits for it."""
LOOK_EVERY_S = 0.2
"""How often one that waits looks whether the model is at ease."""

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
        self._patient = 0
        self._patient_until = math.inf

    def of_final(self, passage: Passage, final: Final) -> None:
        """A final of the passage was told."""
        if self.wanted:
            passage.shown[final.final_index] = self._begin(self._refine_final(final))

    def of_passage(self, passage: Passage) -> None:
        """Nothing is added to a passage any more; the finals of its last utterances may still be to come."""
        if self.wanted:
            again = self._has_time(passage)
            self._begin(self._refine_passage(passage, again))
            self._hearing += again

    async def done(self, timeout_s: float) -> None:
        """Wait until all is told, for a while: nothing comes any more."""
        self._patient_until = time.monotonic() + LAST_PATIENCE_S
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
        """`again`: it is heard again, and counts as such already."""
        try:
            await passage.complete.wait()
            better = await self._heard_again(passage) if again else []
        finally:
            self._hearing -= again
        shown = {final.final_index: {final.text} for final in passage.told}
        await self._refine_all(passage, better, shown)
        if not again and len(passage.utterances) == 1 and await self._comes_to_ease(passage):
            self._hearing += 1
            try:
                better = await self._heard_again(passage)
            finally:
                self._hearing -= 1
            if better:
                await self._refine_all(passage, better, shown)

    async def _refine_all(self, passage: Passage, better: list[Refinement], shown: dict[int, set[str]]) -> None:
        """Tell what is found of a passage, or else its finals, as far as it was not shown before."""
        better = better or [_unchanged(final) for final in passage.told]
        whole = wholeness([each.text for each in better], over=passage.over)
        for final, each, is_whole in zip(passage.told, better, whole, strict=True):
            before = shown[final.final_index]
            before.add(await passage.shown[final.final_index])
            before.add(await self._refine(each, is_whole, before))

    def _has_time(self, passage: Passage) -> bool:
        """Whether the model has time to hear a passage again."""
        load = self._scheduler.load
        has = not load.hurried if len(passage.utterances) > 1 else load.at_ease
        return has and self._hearing < MAX_HEARING and passage.seconds <= LONGEST_S

    async def _comes_to_ease(self, passage: Passage) -> bool:
        """Wait until the model has time for a passage, for a while, unless others wait; whether it has."""
        if not passage.told or self._patient >= MAX_PATIENT or passage.seconds > LONGEST_S:
            return False
        until = time.monotonic() + PATIENCE_S
        self._patient += 1
        try:
            # The load fades by itself, which nobody tells.
            while not (has_time := self._has_time(passage)) and time.monotonic() < min(until, self._patient_until):  # noqa: ASYNC110
                await asyncio.sleep(LOOK_EVERY_S)
            return has_time
        finally:
            self._patient -= 1

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
