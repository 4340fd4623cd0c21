"""The consumers of the search server: that an index takes long is no fault of an event."""

import asyncio

import pytest

from servers.common.errors import FieldInvalid, Overloaded
from servers.common.events import Consumer
from servers.common.patience import LONGEST_S
from servers.search.consumers import patient


async def test_an_event_that_waits_too_long_for_the_index_may_wait_again() -> None:
    async def slow(event: str) -> None:
        await asyncio.Event().wait()

    with pytest.raises(Overloaded) as refused:
        await patient(slow, longest_s=0.01)("e")
    assert refused.value.retry_after_s is not None, "else the consumer takes it for a try"


async def test_what_is_handled_or_refused_in_time_is_as_it_was() -> None:
    taken: list[str] = []

    async def handle(event: str) -> None:
        taken.append(event)
        if event == "poison":
            raise FieldInvalid("tenant", "is empty")

    await patient(handle)("good")
    with pytest.raises(FieldInvalid):
        await patient(handle)("poison")
    assert taken == ["good", "poison"]


def test_it_gives_up_before_its_consumer_does() -> None:
    assert Consumer.ack_wait_s > LONGEST_S
