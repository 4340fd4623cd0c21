"""How properties are tested, no clock decides, on however busy a machine; and who speaks, and who listens."""

from collections.abc import AsyncIterator

import numpy as np
import pytest
from hypothesis import settings

from servers.asr.audio import SampleBuffer
from servers.asr.load import Load, LoadLimits
from servers.asr.scheduling import Lanes, Scheduler
from servers.asr.utterance import Manner, Utterance
from tests.fakes.listener import Echo, Listener
from tests.fakes.recognizers import GatedRecognizer, settled
from tests.fakes.speaker import START, Speaker

settings.register_profile("ai2text", deadline=None)
settings.load_profile("ai2text")


@pytest.fixture
def manner() -> Manner:
    return Manner()


@pytest.fixture
async def speaker(manner: Manner) -> AsyncIterator[Speaker]:
    model = GatedRecognizer()
    buffer = SampleBuffer()
    buffer.append(np.zeros(START, np.float32))
    scheduler = Scheduler(model, Lanes(), Load(LoadLimits()), retry_s=0.0)
    utterance = Utterance(scheduler, buffer, START, manner, likely_language="", channel=3)
    yield Speaker(model, buffer, utterance)
    utterance.abandon()
    await settled()


@pytest.fixture
async def echo() -> AsyncIterator[Listener]:
    listener = Listener(Echo())
    listener.begin()
    yield listener
    listener.track.close()
    await settled()
