"""Reading on in a journal."""

import numpy as np

from servers.search.documents import Vector
from servers.search.indexing import Changes, Filter, Ranked, Rows, Stats
from servers.search.journal import read_on


class CountingJournal:
    """Has so many changes, of which every fifth says that a vector is gone."""

    index_id = "one"

    def __init__(self, changes: int) -> None:
        self._changes = changes
        self.asked = 0

    def last_seq(self) -> int:
        return self._changes

    def changes_after(self, tenant: str, space: str, seq: int, limit: int) -> Changes:
        self.asked += 1
        numbers = np.arange(seq + 1, min(seq + limit, self._changes) + 1)
        there = numbers[numbers % 5 != 0]
        count = len(there)
        rows = Rows(there, np.zeros((count, 2), np.float16), np.zeros(count, np.int64), np.zeros(count, np.uint16))
        return Changes(int(numbers[-1]) if len(numbers) else seq, numbers[numbers % 5 == 0], rows)


class Collecting:
    """An index that keeps what it was told."""

    def __init__(self) -> None:
        self.seq = 0
        self.told: list[int] = []

    def apply(self, changes: Changes) -> None:
        assert changes.seq != self.seq
        self.told += sorted([*changes.gone.tolist(), *changes.there.ids.tolist()])
        self.seq = changes.seq

    def nearest(self, vector: Vector, narrowed: Filter, limit: int) -> Ranked:
        return Ranked([], 0, 0)

    def stats(self) -> Stats:
        return Stats(self.seq, 0, 0, 0, 0, 0)


def read_all(journal: CountingJournal, index: Collecting) -> None:
    while read_on(index, journal, "acme", "e5/2", 10):
        pass


def test_all_is_read_in_order_and_what_was_the_end_is_not_asked_for_again() -> None:
    journal, index = CountingJournal(25), Collecting()
    read_all(journal, index)
    assert index.told == list(range(1, 26))
    assert journal.asked == 3


def test_after_a_full_step_there_may_be_more() -> None:
    journal, index = CountingJournal(20), Collecting()
    read_all(journal, index)
    assert index.told == list(range(1, 21))
    assert journal.asked == 3


def test_where_there_is_nothing_the_index_is_left_alone() -> None:
    journal, index = CountingJournal(0), Collecting()
    assert not read_on(index, journal, "acme", "e5/2", 10)
    assert index.seq == 0
