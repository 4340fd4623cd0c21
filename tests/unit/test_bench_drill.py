"""The drill of the dead letters, as far as it goes without a mesh."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from ai2text.admin.v1 import dead_letter_service_pb2
from rich.console import Console

from bench.drill import __main__ as drill
from bench.drill.cases import LIMIT, Case, DamagedFile, EarlyEvent, LongFinal, NoEvent
from bench.drill.ground import Ground
from mesh.home import Home
from mesh.ports import Ports
from servers.common import streams


def ground() -> Ground:
    """One that must not call anybody."""
    nobody: Any = None
    return Ground(Home.from_env({}), Ports.from_base(9000), nobody, nobody, nobody, "drill-1", "0" * 31 + "1")


async def test_without_ids_nothing_is_asked_for_since_that_would_be_all_letters() -> None:
    assert await ground().discard() == 0
    assert await ground().replay() == 0


def test_all_that_it_puts_in_has_the_trace_of_the_run() -> None:
    assert ground().traceparent.split("-")[1] == ground().trace_id


async def test_what_does_not_happen_in_time_is_a_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill, "PATIENCE_S", 0.01)

    async def never() -> bool:
        return False

    with pytest.raises(drill.Missed, match="given up: not within"):
        await drill.until("given up", never)


def test_a_miss_is_shown_with_its_words() -> None:
    console = Console(width=200, record=True)
    console.print(drill.table([drill.Outcome("a file", miss="it was lost"), drill.Outcome("an event", ended_s=1.25)]))
    text = console.export_text()
    assert "it was lost" in text
    assert "1.2" in text
    assert text.count("ok") == 1


def test_the_bad_release_harms_no_real_final() -> None:
    assert LIMIT >= 1000, "the longest final of a minute of speech"


@pytest.mark.parametrize("kind", [NoEvent, LongFinal, DamagedFile, EarlyEvent])
def test_the_consumers_that_must_give_up_are_declared(kind: type[Case]) -> None:
    assert kind.consumer in {reader for topic in streams.TOPICS for reader in topic.readers}


LETTER = dead_letter_service_pb2.DeadLetter(
    dead_letter_id="1-a", subject=streams.RECORDING_UPLOADED, consumer="batch", reason="RECORDING_NOT_FOUND", tries=1
)


@dataclass
class Drilled:
    """A ground on which one letter is buried and replayed as it is told."""

    replayable: bool = True
    takes: bool = True
    there: list[dead_letter_service_pb2.DeadLetter] = field(default_factory=list)

    async def letters(self) -> list[dead_letter_service_pb2.DeadLetter]:
        return list(self.there)

    async def replay(self, *ids: str) -> int:
        if self.replayable:
            self.there.clear()
        return int(self.replayable)

    async def discard(self, *ids: str) -> int:
        self.there.clear()
        return len(ids)

    async def taken(self, letter: dead_letter_service_pb2.DeadLetter) -> bool:
        return self.takes


class Early:
    """A case whose success comes also without the replay."""

    name, consumer, reason, tries, mendable = "early", "batch", "RECORDING_NOT_FOUND", 1, True

    async def poison(self, ground: Any) -> None:
        ground.there.append(LETTER)

    async def mend(self, ground: Any) -> None:
        pass

    async def succeeded(self, ground: Any) -> bool:
        return True

    async def clear(self, ground: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("ground", "miss"),
    [
        (Drilled(), ""),
        (Drilled(replayable=False), "the letter was not replayed"),
        (Drilled(takes=False), "the replay taken: not within"),
    ],
)
async def test_a_success_without_a_replay_is_a_miss(ground: Any, miss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill, "PATIENCE_S", 0.01)
    outcome = await drill.run(Early(), ground, lambda _: None)
    assert outcome.miss.startswith(miss)
    assert bool(outcome.miss) == bool(miss)
    assert not ground.there


async def test_poison_that_was_tried_again_is_a_miss() -> None:
    late: Any = Early()
    late.tries = 2
    ground: Any = Drilled()
    outcome = await drill.run(late, ground, lambda _: None)
    assert (outcome.miss, outcome.tries) == ("given up after 1 tries, not 2", 1)
    assert not ground.there


@pytest.mark.parametrize(("floor", "taken"), [(6, False), (7, True)])
async def test_a_replay_is_taken_when_its_consumer_has_done_with_its_place_in_the_stream(
    floor: int, taken: bool
) -> None:
    class JetStream:
        async def get_last_msg(self, stream: str, subject: str) -> Any:
            assert (stream, subject) == ("RECORDINGS", streams.replay_subject("batch", streams.RECORDING_UPLOADED))
            return SimpleNamespace(seq=7)

        async def consumer_info(self, stream: str, consumer: str) -> Any:
            assert (stream, consumer) == ("RECORDINGS", "batch")
            return SimpleNamespace(ack_floor=SimpleNamespace(stream_seq=floor))

    class Bus:
        async def jetstream(self) -> JetStream:
            return JetStream()

    bus: Any = Bus()
    assert await replace(ground(), bus=bus).taken(LETTER) is taken


async def test_a_bad_release_that_does_not_come_up_ends_the_case_at_once() -> None:
    class Broken:
        tenant = "drill-1"

        @contextmanager
        def bad_release(self, part: str, **_: str) -> Iterator[None]:
            raise RuntimeError("no such part")
            yield

        async def publish(self, subject: str, payload: bytes) -> None:
            assert subject == streams.RECORDING_DELETED

    broken: Any = Broken()
    case = LongFinal()
    async with asyncio.timeout(5):
        with pytest.raises(RuntimeError, match="no such part"):
            await case.poison(broken)
        await case.clear(broken)
