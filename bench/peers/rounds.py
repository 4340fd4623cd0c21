"""Rounds of N speakers with each peer, as far as they make sense."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.budget import Budget
from bench.peers import livekit, padded
from bench.peers.livekit import PeerAbsent
from bench.peers.padded import LAYOUTS, Silences, Workers
from bench.spread import Spread
from bench.voices import Voice

PADDED_STREAMS, LIVEKIT_STREAMS = (1, 2, 5, 10), (1, 2, 5)
HOPELESS_MS = 5_000.0
"""A peer that is so late is not asked to serve more speakers."""
START_S = 5.0


def largest(spreads: Mapping[int, Spread], limit_ms: float) -> int | None:
    """The most speakers below the limit with no smaller number that is not; None where no number was too many."""
    least_failing = min((streams for streams, spread in spreads.items() if spread.p95 >= limit_ms), default=None)
    if least_failing is None:
        return None
    return max((streams for streams in spreads if streams < least_failing), default=0)


@dataclass
class PeerBench:
    """What is said to every peer: the same that is said to the mesh."""

    weights: Path
    voices: Sequence[Voice]
    seconds: float
    seed: int
    budget: Budget
    tell: Callable[[str], None]

    def padded(self, silences: Silences) -> dict[int, Spread]:
        """faster-whisper for each utterance, by N. The layout that serves one speaker sooner serves the others."""
        spreads: dict[int, Spread] = {}
        layouts: Sequence[Workers] = LAYOUTS
        for streams in PADDED_STREAMS:
            tried: dict[Workers, Spread] = {}
            for layout in layouts:
                what = f"faster-whisper padded to 30 s, {layout}, {streams} speakers"
                if self._fits(padded.DRAIN_S, what):
                    work = padded.jobs(self.voices, streams, self.seconds, silences, self.seed)
                    tried[layout] = self._told(what, padded.round_(self.weights, work, layout))
            tried = {layout: spread for layout, spread in tried.items() if spread}
            if not tried:
                break
            layouts = [min(tried, key=lambda one: tried[one].p95)]
            spreads[streams] = tried[layouts[0]]
            if spreads[streams].p95 > HOPELESS_MS:
                break
        return spreads

    def livekit(self, port: int, chunk_ms: int) -> dict[int, Spread]:
        """WhisperLiveKit, by N; nothing when it is not there, which the budget then notes."""
        spreads: dict[int, Spread] = {}
        warm_up = self.voices[0].clip.path
        try:
            with livekit.serving(self.weights, port, warm_up) as address:
                for streams in LIVEKIT_STREAMS:
                    what = f"whisperlivekit, {streams} speakers"
                    if not self._fits(livekit.DRAIN_S, what):
                        break
                    spread = livekit.round_(address, self.voices, streams, self.seconds, self.seed, chunk_ms)
                    if self._told(what, spread):
                        spreads[streams] = spread
                    if spread.p95 > HOPELESS_MS:
                        break
        except PeerAbsent as absent:
            self.budget.left_out.append(f"whisperlivekit: {absent}")
        return spreads

    def _fits(self, drain_s: float, what: str) -> bool:
        return self.budget.allows(self.seconds + drain_s + START_S, what)

    def _told(self, what: str, spread: Spread) -> Spread:
        self.tell(f"{what}: p50 {spread.p50:.0f}, p95 {spread.p95:.0f} ms of {spread.count} utterances")
        return spread
