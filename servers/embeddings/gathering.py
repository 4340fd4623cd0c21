"""Passages that come at the same time go to the model together; nothing about gRPC or Triton."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from servers.common.errors import InvalidInput
from servers.embeddings.embedding import Kind, ModelFailed, Vector

CHARACTERS_TOGETHER = 4_000
"""Texts that have more than that go in several requests, lest one of them take seconds. A longer text goes alone."""


class Model(Protocol):
    """What embeds several texts at once. DependencyUnavailable, ModelFailed, InvalidInput: for all of them."""

    async def encode_all(self, texts: Sequence[str], kind: Kind) -> Sequence[Vector]:
        """The vector of each text, in their order."""
        ...


class Gathering:
    """An Encoder that sends queries as they come, and passages so many at a time.

    Eight passages at once take a CPU four fifths of the time that they take one by one. While `at_once` requests are
    with the model, those that come wait, and go together with the next; nobody waits for others to come. A text at
    which the model fails fails alone.
    """

    def __init__(self, model: Model, at_once: int, together: int) -> None:
        """At most `at_once` requests of passages, each of at most `together` texts."""
        self._model = model
        self._free = at_once
        self._together = together
        self._waiting: deque[tuple[str, asyncio.Future[Vector]]] = deque()
        self._going: set[asyncio.Task[None]] = set()

    async def encode(self, text: str, kind: Kind) -> Vector:
        """See Encoder."""
        if kind is not Kind.PASSAGE:
            return (await self._model.encode_all([text], kind))[0]
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Vector] = loop.create_future()
        self._waiting.append((text, answer))
        loop.call_soon(self._send)  # not at once: others may come in this very moment
        return await answer

    def _send(self) -> None:
        """Send what waits as far as there is room, in the trace of one of those who wait."""
        while self._free and (batch := self._batch()):
            self._free -= 1
            task = asyncio.create_task(self._taken(batch))
            self._going.add(task)
            task.add_done_callback(self._ended)

    def _batch(self) -> dict[asyncio.Future[Vector], str]:
        """Who goes next; those who have gone meanwhile are left out."""
        batch: dict[asyncio.Future[Vector], str] = {}
        characters = 0
        while self._waiting and len(batch) < self._together:
            text, answer = self._waiting[0]
            characters += len(text)
            if batch and characters > CHARACTERS_TOGETHER:
                break
            self._waiting.popleft()
            if not answer.done():
                batch[answer] = text
        return batch

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._going.discard(task)
        self._free += 1
        self._send()

    async def _taken(self, batch: dict[asyncio.Future[Vector], str]) -> None:
        """Take some to the model together, and tell those who wait what came of it."""
        try:
            vectors = await self._model.encode_all(list(batch.values()), Kind.PASSAGE)
        except (ModelFailed, InvalidInput) as error:
            if len(batch) == 1:
                _fail(batch, error)
                return
            for answer, text in batch.items():  # one of them is to blame
                await self._taken({answer: text})
        except asyncio.CancelledError:  # the server ends
            for answer in batch:
                answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told
            _fail(batch, error)
        else:
            for answer, vector in zip(batch, vectors, strict=True):
                if not answer.done():
                    answer.set_result(vector)


def _fail(batch: dict[asyncio.Future[Vector], str], error: Exception) -> None:
    for answer in batch:
        if not answer.done():
            answer.set_exception(error)
