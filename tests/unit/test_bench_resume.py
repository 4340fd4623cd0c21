"""When a disturbed session has survived."""

from collections.abc import Sequence

import pytest

from bench.continuity import Difference
from bench.resume import Trial, figures
from bench.resuming import Heard
from clients.cli.live_stream import Resumption


def trial(*changed: int, lost: int = 0, resumed: int = 3) -> Trial:
    heard = Heard(resumptions=[Resumption(0.1, "", 0, False)] * resumed)
    return Trial("kill -9", len(changed), heard, Difference(lost, 0, sum(changed), 100), changed, 0)


@pytest.mark.parametrize("changed", [(0, 0, 0), (1, 1, 1)])
def test_a_word_at_each_join_may_change(changed: Sequence[int]) -> None:
    assert trial(*changed).survived


def test_two_words_at_one_join_are_too_many_however_few_there_are_in_all() -> None:
    assert not trial(0, 2, 0).survived
    assert figures([trial(0, 2, 0), trial(1, 0, 0)])["words_changed_at_worst_join"] == 2


def test_whoever_lost_a_final_or_was_not_resumed_has_not_survived() -> None:
    assert not trial(0, 0, 0, lost=1).survived
    assert not trial(0, 0, 0, resumed=2).survived
