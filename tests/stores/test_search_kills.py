"""The drill that kills the search server, for a short while: nothing may be lost; and it notices when something is."""

import random
from pathlib import Path

from rich.console import Console

from bench.search import kills
from bench.search.kills import Expected, Found
from servers.search.store import Store

FIRST = 300


def test_nothing_is_lost_or_doubled_by_kill_9(tmp_path: Path) -> None:
    figures = kills.run(tmp_path, 3, seed=4, first=FIRST, told=Console(quiet=True))
    assert (figures["lost"], figures["doubled"]) == (0, 0)
    assert int(figures["acknowledged"]) > FIRST
    assert [figures[f"kills_in_{moment}"] for moment in kills.MOMENTS] == [1, 1, 1]


def test_the_drill_notices_what_is_lost(tmp_path: Path) -> None:
    expected = Expected()
    kills.fill(tmp_path, FIRST, expected)
    assert kills.look(tmp_path, expected, random.Random(1)) == Found()
    shelf = Store(tmp_path / "documents.sqlite")
    shelf.remove(kills.TENANT, [kills.document(7, 0).id])
    shelf.close()
    assert len(kills.look(tmp_path, expected, random.Random(1)).lost) == 1
    expected.acknowledged({9: 1})
    assert any("segment-9 is 0" in one for one in kills.look(tmp_path, expected, random.Random(1)).lost)
    expected.begun({9: 2})
    assert len(kills.look(tmp_path, expected, random.Random(1)).lost) == 2
