"""Somebody who speaks into one utterance, sentence by sentence as a test says."""

import asyncio
from dataclasses import dataclass

import numpy as np

from servers.asr import audio
from servers.asr.audio import SAMPLE_RATE, SampleBuffer
from servers.asr.recognition import Hypothesis
from servers.asr.results import Final, Partial
from servers.asr.utterance import Utterance
from tests.fakes.recognizers import GatedRecognizer, heard, settled

START = 2 * SAMPLE_RATE
"""Where the utterance begins: 2 s after the session did."""


@dataclass
class Speaker:
    """Speaks into an utterance; the model answers when the test lets it."""

    model: GatedRecognizer
    buffer: SampleBuffer
    utterance: Utterance

    def speaks(self, seconds: float) -> None:
        self.buffer.append(np.full(audio.samples(1000 * seconds), 0.5, np.float32))

    def pauses(self) -> int:
        """Stops speaking; where."""
        end = self.buffer.end
        self.buffer.append(np.zeros(audio.samples(200), np.float32))
        self.utterance.pause(end, self.buffer.end)
        return end

    async def partial(self, answer: Hypothesis | str) -> Partial | None:
        """The partial that comes of this answer; a text is said at an even pace, until the audio ends."""
        asking = asyncio.create_task(self.utterance.partial())
        await settled()
        if isinstance(answer, str):
            seconds = len(self.model.begun[-1].audio) / SAMPLE_RATE if self.model.begun else 1.0
            answer = heard(answer, word_s=seconds / max(1, len(answer.split())))
        await self.model.give(answer)
        return await asking

    async def final(self, answer: Hypothesis | str | None = None) -> Final | None:
        """The final, that comes of this answer if it is not there yet."""
        asking = asyncio.create_task(self.utterance.final(7))
        await settled()
        if answer is not None:
            await self.model.give(heard(answer) if isinstance(answer, str) else answer)
        return await asking


def shown(partial: Partial | None) -> tuple[str, str]:
    assert partial is not None
    return partial.stable, partial.unstable
