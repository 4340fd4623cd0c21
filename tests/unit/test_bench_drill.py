"""The drill of the dead letters, as far as it goes without a mesh."""

from typing import Any

import pytest
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
