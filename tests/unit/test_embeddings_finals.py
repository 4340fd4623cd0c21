"""Finals on their way to their vectors: what is no fault of theirs."""

import asyncio

import pytest
from ai2text.events.v1 import transcript_events_pb2

from servers.common.errors import Ai2TextError, Overloaded
from servers.common.events import Consumer
from servers.common.patience import LONGEST_S
from servers.embeddings.embedding import Kind, ModelFailed, Vector
from servers.embeddings.finals import Finals, NotEmbedded
from tests.rpc.embeddings_server import LetterCounter, embedder

EVENT = transcript_events_pb2.TranscriptFinalized(
    event_id="e1",
    tenant="acme",
    segment=transcript_events_pb2.SegmentContent(segment_id="6f1e2a34-5b6c-4d7e-8f90-a1b2c3d4e5f6", text="xin chào"),
)


class Hanging(LetterCounter):
    """A model that says nothing."""

    async def encode(self, text: str, kind: Kind) -> Vector:
        await asyncio.Event().wait()
        raise AssertionError


class Failing(LetterCounter):
    """A model that fails at whatever it is given."""

    async def encode(self, text: str, kind: Kind) -> Vector:
        raise ModelFailed


async def nobody(subject: str, event_id: str, payload: bytes) -> None:
    raise AssertionError("there is nothing to tell")


async def test_a_final_that_waits_too_long_for_the_model_may_wait_again() -> None:
    with pytest.raises(Overloaded) as refused:
        await Finals(embedder(Hanging()), nobody, longest_s=0.01).handle(EVENT)
    assert refused.value.retry_after_s is not None, "else the consumer takes it for a try"


async def test_a_final_at_which_the_model_fails_is_not_tried_for_ever() -> None:
    with pytest.raises(NotEmbedded) as failed:
        await Finals(embedder(Failing()), nobody).handle(EVENT)
    assert not isinstance(failed.value, Ai2TextError), "else the consumer waits until the model can"


def test_it_gives_up_before_its_consumer_does() -> None:
    assert Consumer.ack_wait_s > LONGEST_S + 5, "what it has to tell is to be stored, too"
