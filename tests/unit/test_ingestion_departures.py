"""Files of deleted recordings: what is no fault of the event that tells of one."""

import asyncio
from typing import Any

import pytest
from ai2text.events.v1 import recording_events_pb2

from servers.common.errors import Overloaded
from servers.common.events import Consumer
from servers.common.patience import LONGEST_S
from servers.ingestion.departures import Departures

EVENT = recording_events_pb2.RecordingDeleted(tenant="acme", object_key="audio/acme/00")


class Busy:
    """A file that is being stored anew for ever."""

    async def release(self, tenant: str, key: str) -> bool:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_removal_that_waits_too_long_for_an_upload_may_wait_again() -> None:
    deposits: Any = Busy()
    with pytest.raises(Overloaded) as refused:
        await Departures(deposits, longest_s=0.01).handle(EVENT)
    assert refused.value.retry_after_s is not None, "else the consumer takes it for a try"


def test_it_gives_up_before_its_consumer_does() -> None:
    assert Consumer.ack_wait_s > LONGEST_S
