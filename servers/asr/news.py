"""What a session tells, kept until the one who watches it has it."""

from collections import deque
from collections.abc import AsyncGenerator, Iterator
from typing import NamedTuple

from ai2text.asr.v1 import speech_service_pb2 as pb

from servers.asr.changes import Changes
from servers.common.errors import Ai2TextError, FieldInvalid, FinalsForgotten, SessionTakenOver

MAX_FINALS = 64
"""Finals that are kept. When so many have not been told, the session is held back."""
MAX_MOMENTS = 64
"""Events besides finals and partials that are kept; beyond, the oldest are dropped."""


class Item(NamedTuple):
    """One event in its place among all."""

    order: int
    event: pb.StreamingRecognizeResponse


class News:
    """The events of one session, for one watcher at a time, in the order in which they happened.

    Finals are kept until the watcher, or the next one, says that it has them. Of the partials of a channel only the
    newest is kept, of everything else what is recent.
    """

    def __init__(self, next_final_index: int) -> None:
        self._next_final = next_final_index
        """The index of the next final that the session makes."""
        self._told_until = next_final_index
        """The index of the next final that the watcher is to be told."""
        self._finals: deque[Item] = deque()
        self._partials: dict[int, Item] = {}
        self._moments: deque[Item] = deque(maxlen=MAX_MOMENTS)
        self._count = 0
        self._watcher: object | None = None
        self._ended = False
        self._error: Ai2TextError | None = None
        self._changes = Changes()

    async def put(self, event: pb.StreamingRecognizeResponse) -> None:
        """Keep an event; waits while too many finals have not been told."""
        match event.WhichOneof("event"):
            case "final":
                await self._changes.until(self._has_room)
                if len(self._finals) == MAX_FINALS:
                    self._finals.popleft()
                self._finals.append(self._item(event))
                self._next_final = event.final.final_index + 1
            case "partial":
                self._partials[event.partial.channel] = self._item(event)
            case _:
                self._moments.append(self._item(event))
        self._changes.tell()

    def end(self, error: Ai2TextError | None) -> None:
        """Nothing more comes; the watcher is told what there is, and then the error, if any."""
        self._ended, self._error = True, error
        self._changes.tell()

    async def watch(self, next_final_index: int) -> AsyncGenerator[pb.StreamingRecognizeResponse]:
        """The events that have not been told, finals from this index on, and then all that come.

        Ends with the session. FinalsForgotten when older finals are wanted than are kept; SessionTakenOver when another
        watch begins.
        """
        watcher = self._begin_watch(next_final_index)
        try:
            while True:
                await self._changes.until(lambda: self._watcher is not watcher or self._ended or self._next_item())
                if self._watcher is not watcher:
                    raise SessionTakenOver("the session is watched from elsewhere now")
                if (item := self._next_item()) is None:
                    break
                yield item.event
                if self._watcher is watcher:
                    self._mark_told(item)
            if self._error is not None:
                raise self._error.with_traceback(None)
        finally:
            if self._watcher is watcher:
                self._watcher = None

    def _begin_watch(self, next_final_index: int) -> object:
        oldest = _index(self._finals[0]) if self._finals else self._next_final
        if next_final_index < oldest:
            message = f"finals before {oldest} are no longer kept here"
            raise FinalsForgotten(message, oldest_final_index=str(oldest))
        if next_final_index > self._next_final:
            raise FieldInvalid("next_final_index", f"is too high: the next final is {self._next_final}")
        while self._finals and _index(self._finals[0]) < next_final_index:
            self._finals.popleft()
        self._told_until = next_final_index
        self._watcher = object()
        self._changes.tell()
        return self._watcher

    def _has_room(self) -> bool:
        """Whether a final may come: without a watcher nothing is dropped, since what was sent may not have arrived."""
        if len(self._finals) < MAX_FINALS:
            return True
        return self._watcher is not None and _index(self._finals[0]) < self._told_until

    def _item(self, event: pb.StreamingRecognizeResponse) -> Item:
        self._count += 1
        return Item(self._count, event)

    def _next_item(self) -> Item | None:
        """The oldest that has not been told."""
        return min(self._untold(), default=None, key=lambda item: item.order)

    def _untold(self) -> Iterator[Item]:
        yield from (item for item in self._finals if _index(item) >= self._told_until)
        yield from self._partials.values()
        yield from self._moments

    def _mark_told(self, item: Item) -> None:
        """The watcher has it; something newer may have come in its place meanwhile."""
        channel = item.event.partial.channel
        if item.event.HasField("final"):
            self._told_until = _index(item) + 1
        elif self._partials.get(channel) is item:
            del self._partials[channel]
        elif self._moments and self._moments[0] is item:
            self._moments.popleft()
        self._changes.tell()


def _index(item: Item) -> int:
    return item.event.final.final_index
