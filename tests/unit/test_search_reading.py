"""Of many candidates only those are read that are wanted."""

from collections.abc import Collection, Mapping
from typing import cast

import pytest

from servers.search.candidates import Library
from servers.search.documents import Document, Scope
from servers.search.query import parsed
from servers.search.reading import Reading
from servers.search.timings import Watch


class Counting:
    """A library of documents 0 to 99, every third of channel 1, every tenth gone; it says what was read of it."""

    def __init__(self) -> None:
        self.read = list[set[int]]()

    async def documents(self, tenant: str, ids: Collection[int]) -> Mapping[int, Document]:
        self.read.append(set(ids))
        return {
            id: Document(tenant, "r", "t", str(id), 0, 1, "vi", f"số {id} đây", int(id % 3 == 0))
            for id in ids
            if id % 10
        }


@pytest.fixture
def library() -> Counting:
    return Counting()


def reading(
    library: Counting,
    query: str = "số",
    channels: tuple[int, ...] = (),
    scope: Scope = Scope("acme"),  # noqa: B008
) -> Reading:
    return Reading(cast(Library, library), scope, parsed(query), Watch(), channels)


async def test_what_is_gone_is_made_up_for_by_what_comes_next(library: Counting) -> None:
    read = reading(library)
    assert await read.first(range(10, 100), 5, int) == [11, 12, 13, 14, 15]
    assert library.read == [{10, 11, 12, 13, 14}, {15}]
    assert read[12].text == "số 12 đây"


async def test_nothing_is_read_twice(library: Counting) -> None:
    read = reading(library)
    await read.read({9, 10, 11})
    await read.read([11, 10])
    assert await read.first([10, 9, 11, 12], 2, int) == [9, 11]
    assert library.read == [{9, 10, 11}]


async def test_it_says_what_may_be_there(library: Counting) -> None:
    read = reading(library)
    await read.read([10, 11])
    assert list(read.left([10, 11, 20])) == [11, 20]


async def test_what_lacks_a_phrase_is_not_there(library: Counting) -> None:
    read = reading(library, '"số 12"')
    assert await read.first(range(11, 30), 5, int) == [12]


@pytest.mark.parametrize(
    ("channels", "there"), [((), [1, 2, 3, 4, 5]), ((1,), [3, 6, 9, 12, 15]), ((0, 1), [1, 2, 3, 4, 5]), ((7,), [])]
)
async def test_what_is_of_another_channel_is_not_there(
    library: Counting, channels: tuple[int, ...], there: list[int]
) -> None:
    read = reading(library, channels=channels)
    assert await read.first(range(100), 5, int) == there
    assert set(read.left(range(6))) == set(there) & set(range(6))


@pytest.mark.parametrize(
    ("scope", "there"),
    [
        (Scope("acme", ("q", "r"), "vi"), [1, 2]),
        (Scope("acme", ("q",)), []),
        (Scope("acme", (), "en"), []),
        (Scope("acme", recording_numbers=(7,)), [1, 2]),
    ],
)
async def test_what_is_outside_of_the_scope_is_not_there(library: Counting, scope: Scope, there: list[int]) -> None:
    assert await reading(library, scope=scope).first(range(100), 2, int) == there


async def test_a_phrase_and_a_channel_hold_together(library: Counting) -> None:
    for channel, there in ((1, [12]), (0, [])):
        assert await reading(library, '"số 12"', (channel,)).first(range(100), 5, int) == there


async def test_too_few_are_all_that_there_are(library: Counting) -> None:
    assert await reading(library).first([1, 10, 2], 5, int) == [1, 2]
    assert await reading(library).first([], 5, int) == []
