"""The store and the indexes behind the event loop: what goes on and what ends when somebody leaves."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Literal

import pytest

from servers.common.errors import DependencyUnavailable
from servers.search import shelves
from servers.search.documents import Scope
from servers.search.narrowing import Conditions, Span
from servers.search.shelves import Shelves
from tests.rpc import search_server
from tests.stores.search_entries import SPACE, entry, random_entries


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Shelves]:
    async with search_server.shelves(tmp_path) as kept:
        yield kept


class Watched(asyncio.Event):
    """Says when somebody waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.is_waited_for = asyncio.Event()

    async def wait(self) -> Literal[True]:
        self.is_waited_for.set()
        return await super().wait()


@pytest.mark.parametrize("event", ["_changed", "_written"])
@pytest.mark.parametrize("turns", range(6))
async def test_keeping_ends_also_in_the_moment_in_which_there_is_something_to_do(
    kept: Shelves, monkeypatch: pytest.MonkeyPatch, event: str, turns: int
) -> None:
    monkeypatch.setattr(shelves, "COMMIT_EVERY_S", 0)
    news = Watched()
    setattr(kept, event, news)
    keeping = asyncio.create_task(kept.keep_indexes())
    await news.is_waited_for.wait()
    news.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    keeping.cancel()
    ended, _ = await asyncio.wait([keeping], timeout=5)
    assert ended


async def after_rebuilding(kept: Shelves) -> None:
    """When what was asked for is done."""
    await asyncio.wrap_future(kept._rebuilder.submit(lambda: None))


async def test_who_asks_for_a_rebuilding_and_leaves_has_it_done(kept: Shelves) -> None:
    await kept.put([*random_entries(3), entry("s1", model="other")])
    go_on = threading.Event()
    kept._rebuilder.submit(go_on.wait, 10)
    asked = asyncio.create_task(kept.rebuild("acme", whole=False))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait([asked])
    go_on.set()
    await after_rebuilding(kept)
    assert [(space.stats.lists, space.stats.loose) for space in (await kept.stats("acme")).vectors] == [(1, 0)] * 2


async def test_those_who_ask_while_a_rebuilding_waits_share_it_and_who_asks_later_has_another(
    kept: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept.put([entry("s1")])
    done, begun, go_on = list[object](), threading.Event(), threading.Event()

    def slowly(*asked: object) -> None:
        done.append(asked)
        begun.set()
        assert go_on.wait(10)

    monkeypatch.setattr(kept._vectors, "rebuild", slowly)
    asked = [asyncio.create_task(kept.rebuild("acme", whole=True))]
    assert await asyncio.to_thread(begun.wait, 10)
    asked += [asyncio.create_task(kept.rebuild("acme", whole)) for whole in (True, False, True)]
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(*asked)
    assert done == [("acme", SPACE, True), ("acme", SPACE, True), ("acme", SPACE, False)]


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """What threads wait for in vain until the end of the test, 10 s at most."""
    go_on = threading.Event()
    yield go_on
    go_on.set()


async def test_filters_that_take_long_hold_up_no_search_without_one(
    kept: Shelves, held: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept.put([entry("s1")])
    monkeypatch.setattr(shelves, "NARROWING_TIMEOUT_S", 0.01)
    for _ in range(2):
        kept._narrowers.submit(held.wait, 10)
    for narrowing in (
        kept.recordings("acme", Conditions(created_from_us=0)),
        kept.within(Scope("acme", ("r1",)), Span(0, 1)),
    ):
        with pytest.raises(DependencyUnavailable):
            await narrowing
    assert list(await kept.documents("acme", [entry("s1").document.id])) == [entry("s1").document.id]


async def test_documents_that_are_not_read_in_time_are_not_waited_for(
    kept: Shelves, held: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelves, "DOCUMENTS_TIMEOUT_S", 0.01)
    for _ in range(2):
        kept._readers.submit(held.wait, 10)
    with pytest.raises(DependencyUnavailable):
        await kept.documents("acme", [1])
