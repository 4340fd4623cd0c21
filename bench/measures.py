"""What a round of speakers shows: latencies, the text's stability, what was dropped, what was refused."""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ai2text.asr.v1 import result_pb2
from google.protobuf.duration_pb2 import Duration

from bench.load import Round
from bench.scoring import normalised, word_changes
from bench.scripts import Script, Turn
from bench.speaker import Take
from bench.spread import Spread

EARLY_END_MS = 600
"""When the server's end of an utterance is so much earlier than the reference's, what came after it was not heard as
speech, and no final could wait for it. An end that is later is late: it counts from the reference, however much."""
LONGEST_ENDPOINT_MS = 700
"""An utterance that ended so soon before the session may have been ended by that."""
ONSET_MS = 500
"""The same for where it begins."""


@dataclass(frozen=True)
class Delay:
    """One final of the server, and how late it was. Milliseconds."""

    ms: float
    """From the end of speech, as it was spoken, to the arrival of the final."""
    spoken_at: float
    """The moment of that end."""
    offset_ms: float | None
    """How much later the server says that speech ended than the reference does; None where the server was believed."""
    after_endpoint_ms: float | None
    """From `speech_ended` to the final; None where there was no such event."""
    complete_ms: float | None
    """From the end of speech to the partial that has the whole text; None where there was none."""


@dataclass(frozen=True)
class Flicker:
    """Words of partials that the final has otherwise; each partial counts all its words anew."""

    changed: int = 0
    shown: int = 0

    @property
    def rate(self) -> float:
        """Changed words of those shown; NaN when none was shown."""
        return self.changed / self.shown if self.shown else math.nan

    def __add__(self, other: "Flicker") -> "Flicker":
        return Flicker(self.changed + other.changed, self.shown + other.shown)


@dataclass(frozen=True)
class Stages:
    """Where the time of results went, in milliseconds."""

    queue: Spread
    inference: Spread
    post_processing: Spread

    @classmethod
    def of(cls, results: Iterable[result_pb2.FinalResult | result_pb2.PartialResult]) -> "Stages":
        """Those of the results that tell them."""
        told = [result.processing_times for result in results if result.HasField("processing_times")]
        return cls(
            queue=Spread.of(_ms(times.queue) for times in told),
            inference=Spread.of(_ms(times.inference) for times in told),
            post_processing=Spread.of(_ms(times.post_processing) for times in told),
        )


@dataclass(frozen=True)
class Figures:
    """One round in figures. Times are in milliseconds."""

    streams: int
    admitted: int
    refused: int
    refused_without_retry: int
    """Refused without a word on when to try again."""
    broken: tuple[str, ...]
    """How those sessions ended that were admitted and did not end in order."""
    latency: Spread
    """From the end of speech to the final, the endpoint's silence included."""
    by_server: int
    """How many of these count from the end that the server itself told, since the reference has none for them."""
    after_endpoint: Spread
    """From the endpoint, which the server tells as `speech_ended`, to the final."""
    reference_offset: Spread
    """How much later the server hears speech end than the reference does."""
    complete_after: Spread
    """From the end of speech to the partial that is complete."""
    first_partial: Spread
    """From the beginning of speech."""
    cadence: Spread
    """Between two partials of an utterance."""
    flicker_stable: Flicker
    """Of the stable parts of partials."""
    flicker_all: Flicker
    """Of partials whole."""
    refined: Flicker
    """Words of finals that refinements have changed."""
    dropped_bytes: int
    speech_share: float
    """Share of the time in which somebody spoke."""
    final_stages: Stages
    partial_stages: Stages
    late: Spread
    """How late the generator was with its chunks."""
    held_back_s: float
    """How long flow control held all speakers back together."""

    @property
    def all_served(self) -> bool:
        """Whether every speaker was admitted and served to the end."""
        return self.admitted == self.streams and not self.broken and not self.dropped_bytes


def figures(round_: Round) -> Figures:
    """The figures of a round. Latencies are those of speech that ended while all speakers were there."""
    takes = round_.takes
    told = [(script, take) for script, take in zip(round_.scripts, takes, strict=True) if take.started]
    begin, end = round_.window
    heard = [delay for script, take in told for delay in delays(script, take) if begin <= delay.spoken_at <= end]
    refused = [take.ending for take in takes if not take.started and take.ending]
    return Figures(
        streams=len(takes),
        admitted=len(told),
        refused=len(refused),
        refused_without_retry=sum(ending.retry_after_s is None for ending in refused),
        broken=tuple(str(take.ending) for _, take in told if take.ending),
        latency=Spread.of(delay.ms for delay in heard),
        by_server=sum(delay.offset_ms is None for delay in heard),
        after_endpoint=Spread.of(delay.after_endpoint_ms for delay in heard if delay.after_endpoint_ms is not None),
        reference_offset=Spread.of(delay.offset_ms for delay in heard if delay.offset_ms is not None),
        complete_after=Spread.of(delay.complete_ms for delay in heard if delay.complete_ms is not None),
        first_partial=Spread.of(ms for script, take in told for ms in first_partials(script, take)),
        cadence=Spread.of(ms for _, take in told for ms in cadences(take)),
        flicker_stable=sum((flicker(take, stable_only=True) for _, take in told), Flicker()),
        flicker_all=sum((flicker(take, stable_only=False) for _, take in told), Flicker()),
        refined=sum((refined(take) for _, take in told), Flicker()),
        dropped_bytes=sum(take.missing_bytes for _, take in told if not take.ending),
        speech_share=_speech_share([script for script, _ in told]),
        final_stages=Stages.of(final for _, take in told for _, final in take.finals()),
        partial_stages=Stages.of(partial for _, take in told for _, partial in take.partials()),
        late=Spread.of(1000 * late for take in takes for late in take.late_s),
        held_back_s=sum(take.held_back_s for take in takes),
    )


def by_turn(script: Script, take: Take) -> dict[Turn, list[tuple[float, result_pb2.FinalResult]]]:
    """The finals of each turn."""
    found: dict[Turn, list[tuple[float, result_pb2.FinalResult]]] = {turn: [] for turn in script.turns}
    for at, final in take.finals():
        turn = script.turn_at((final.start_ms + final.end_ms) / 2)
        if turn is not None:
            found[turn].append((at, final))
    return found


def delays(script: Script, take: Take) -> Iterator[Delay]:
    """How late each final was that followed a silence, not the end of the session.

    Of the last final of a whole turn the reference says when speech ended, of others the server, and where it ended the
    utterance long before the reference does.
    """
    endpoints = {end_ms: at for at, end_ms in take.endpoints()}
    whole = [(at, partial) for at, partial in take.partials() if partial.complete]
    for turn, finals in by_turn(script, take).items():
        for number, (at, final) in enumerate(finals, 1):
            if final.end_ms > script.length_ms - LONGEST_ENDPOINT_MS:
                continue
            offset = final.end_ms - turn.speech_end_ms
            known = turn in script.whole_turns and number == len(finals) and offset >= -EARLY_END_MS
            spoken_at = take.spoken_at(turn.speech_end_ms if known else final.end_ms)
            endpoint = endpoints.get(final.end_ms)
            complete = next((at for at, partial in whole if _is_whole(partial, final)), None)
            yield Delay(
                ms=1000 * (at - spoken_at),
                spoken_at=spoken_at,
                offset_ms=offset if known else None,
                after_endpoint_ms=None if endpoint is None else 1000 * (at - endpoint),
                complete_ms=None if complete is None else 1000 * (complete - spoken_at),
            )


def first_partials(script: Script, take: Take) -> Iterator[float]:
    """How long after its first sound each utterance was first shown."""
    for start_ms, shown in _utterances(take):
        turn = script.turn_at(start_ms)
        known = turn is not None and abs(start_ms - turn.speech_start_ms) <= ONSET_MS
        onset = turn.speech_start_ms if turn is not None and known else start_ms
        yield 1000 * (shown[0][0] - take.spoken_at(onset))


def cadences(take: Take) -> Iterator[float]:
    """The time between two partials of the same utterance, while somebody speaks."""
    for _, shown in _utterances(take):
        moments = [at for at, partial in shown if not partial.complete]
        yield from (1000 * (later - earlier) for earlier, later in itertools.pairwise(moments))


def flicker(take: Take, stable_only: bool) -> Flicker:
    """How many words of partials the final has otherwise."""
    finals = [final for _, final in take.finals()]
    total = Flicker()
    for _, partial in take.partials():
        final = next((final for final in finals if _same_utterance(partial, final)), None)
        if final is None and take.ending is not None:
            continue  # its final was never made
        words = partial.stable_text if stable_only else partial.stable_text + partial.unstable_text
        total += _changed(words, final.text if final is not None else "")
    return total


def refined(take: Take) -> Flicker:
    """How many words of finals refinements have changed; a word that goes to a neighbouring final is none."""
    return Flicker(word_changes(take.first_text, take.text), len(normalised(take.first_text).split()))


def _changed(shown: str, settled: str) -> Flicker:
    """The fewest words to change, to take out or to put in, so that what was shown begins the settled text: a word that
    only moved, because another came before it, has not changed. Case and punctuation do not count."""
    words, kept = normalised(shown).split(), normalised(settled).split()
    edits = list(range(len(kept) + 1))  # for each beginning of the settled text; the rows of Levenshtein's distance
    for number, word in enumerate(words, 1):
        row = [number]
        for place, other in enumerate(kept, 1):
            row.append(min(edits[place] + 1, row[-1] + 1, edits[place - 1] + (word != other)))
        edits = row
    return Flicker(min(edits), len(words))


def _same_utterance(partial: result_pb2.PartialResult, final: result_pb2.FinalResult) -> bool:
    return partial.channel == final.channel and final.start_ms <= partial.start_ms < max(
        final.end_ms, final.start_ms + 1
    )


def _is_whole(partial: result_pb2.PartialResult, final: result_pb2.FinalResult) -> bool:
    """Whether the partial, which is complete, covers all that was said."""
    return _same_utterance(partial, final) and partial.end_ms >= final.end_ms


def _utterances(take: Take) -> list[tuple[int, list[tuple[float, result_pb2.PartialResult]]]]:
    """The partials of each utterance, by where it begins."""
    found: dict[int, list[tuple[float, result_pb2.PartialResult]]] = {}
    for at, partial in take.partials():
        found.setdefault(partial.start_ms, []).append((at, partial))
    return list(found.items())


def _speech_share(scripts: list[Script]) -> float:
    spoken = sum(min(turn.end_ms, script.length_ms) - turn.start_ms for script in scripts for turn in script.turns)
    return spoken / max(1, sum(script.length_ms for script in scripts))


def _ms(duration: Duration) -> float:
    return duration.ToTimedelta().total_seconds() * 1000
