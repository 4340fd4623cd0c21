"""One channel that hears what a test says, and what came of it."""

from dataclasses import dataclass, field

import numpy as np

from servers.asr import audio
from servers.asr.audio import SAMPLE_RATE, Samples
from servers.asr.endpointing import WINDOW, EndpointRules
from servers.asr.load import Load, LoadLimits
from servers.asr.recognition import Hypothesis, Request, Word
from servers.asr.refinements import Refinements
from servers.asr.results import Final, Happening
from servers.asr.scheduling import Lanes, Scheduler
from servers.asr.track import Track
from servers.asr.utterance import Manner, Utterance
from tests.fakes.recognizers import GatedRecognizer, settled
from tests.fakes.refiners import TaughtRefiner

RULES = EndpointRules(pause_ms=128, silence_ms=448, long_utterance_ms=2_000, long_utterance_silence_ms=256)
SECOND = audio.samples(1_000) // WINDOW * WINDOW
"""About a second, in whole windows."""


class Loudness:
    """Voice is what is loud."""

    def __init__(self) -> None:
        self.count = 0

    def state(self) -> bytes:
        return str(self.count).encode()

    def restore(self, state: bytes) -> None:
        self.count = int(state)

    def probabilities(self, heard: Samples) -> list[float]:
        assert len(heard) % WINDOW == 0
        self.count += len(heard)
        return [float(np.abs(window).max() > 0.1) for window in heard.reshape(-1, WINDOW)]


@dataclass
class Listener:
    """A track, what it told, and the utterances that have ended."""

    model: GatedRecognizer
    told: list[Happening] = field(default_factory=list)
    ended: list[Utterance] = field(default_factory=list)
    made: list[Final | None] = field(default_factory=list)
    refiner: TaughtRefiner = field(default_factory=TaughtRefiner)

    def begin(
        self, settled: int = 0, begin: int = 0, said: int = 0, *, refinements: bool = True, channel: int = 1
    ) -> Track:
        self.load = Load(LoadLimits())
        scheduler = Scheduler(self.model, Lanes(), self.load, retry_s=0.0)
        better = Refinements(self.refiner, scheduler, Manner(), self._tell, wanted=refinements)
        self.track = Track(
            channel, settled, begin, RULES, Manner(), better, "", Loudness(), scheduler, self._tell, self._end, said
        )
        return self.track

    async def _tell(self, happening: Happening) -> None:
        self.told.append(happening)

    async def _end(self, track: Track, utterance: Utterance) -> None:
        assert track is self.track
        self.ended.append(utterance)

    async def hear(self, *parts: tuple[float, float]) -> None:
        """Parts of (seconds, level), a tenth of a second at a time."""
        for seconds, level in parts:
            windows = round(seconds * SECOND) // WINDOW
            for begin in range(0, windows, 3):
                count = min(3, windows - begin)
                await self.track.hear(np.full(count * WINDOW, level, np.float32))
                await settled()

    async def make_finals(self) -> list[Final | None]:
        """The finals of all that have ended, as a session makes them."""
        before = len(self.made)
        while self.ended:
            utterance = self.ended.pop(0)
            self.made.append(await utterance.final(len(self.made)))
            self.track.settle(utterance)
            self.track.note_told(utterance, self.made[-1])
        return self.made[before:]

    @property
    def kept(self) -> int:
        """How many samples are remembered."""
        return len(self.track._buffer.slice(0, self.track._buffer.end))

    def of(self, kind: type[Happening]) -> list[Happening]:
        return [happening for happening in self.told if isinstance(happening, kind)]


class Echo(GatedRecognizer):
    """Hears a word in each run of loud audio, where it is: "w0 w1", or "v0 v1" when it hears a passage."""

    again = "v"

    async def recognize(self, request: Request) -> Hypothesis:
        self.begun.append(request)
        loud = np.flatnonzero(np.abs(np.diff((np.abs(request.audio) > 0.1).astype(int), prepend=0, append=0)))
        runs = [(float(a) / SAMPLE_RATE, float(b) / SAMPLE_RATE) for a, b in loud.reshape(-1, 2)]
        letter = self.again if request.background and request.careful else "w"
        words = tuple(Word(f"{letter}{n}", begin, end, 0.9) for n, (begin, end) in enumerate(runs))
        return Hypothesis(" ".join(word.text for word in words), "vi", words, -0.1, 0.0, 1.0, inference_s=0.01)

    async def check(self) -> None: ...
