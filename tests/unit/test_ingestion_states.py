"""How an upload in parts is cut, written down and read again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.ingestion import states
from servers.ingestion.files import Announced, Content, Media, Registration
from servers.ingestion.states import LEAST_PART_BYTES, MIB, State

GIB = 1 << 30


def state(size: int) -> State:
    return State(Announced("r", "Tên", "vi", {"a": "b"}, size, bytes(range(32)), 7), states.part_bytes(size), "m")


@given(st.integers(1, 5 * GIB))
def test_the_parts_cover_the_file_without_gap_or_overlap(size: int) -> None:
    cut = state(size)
    assert 1 <= cut.part_count <= states.MOST_PARTS
    assert cut.part_bytes >= LEAST_PART_BYTES
    assert cut.part_bytes % MIB == 0
    assert cut.offset_of(1) == 0
    last = cut.part_count
    assert cut.offset_of(last) + cut.size_of(last) == size
    assert 1 <= cut.size_of(last) <= cut.part_bytes
    assert all(cut.size_of(number) == cut.part_bytes for number in range(1, last))


@pytest.mark.parametrize(("size", "part"), [(1, 8), (2 * GIB, 8), (8000 * MIB, 8), (8000 * MIB + 1, 9)])
def test_parts_are_eight_mebibytes_unless_there_would_be_more_than_a_thousand(size: int, part: int) -> None:
    assert states.part_bytes(size) == part * MIB


def test_what_is_written_is_read_again() -> None:
    begun = state(9 * MIB)
    done = begun.completed(
        Registration(
            "id", "Tên", "vi", {"a": "b"}, "audio/acme/00", Content(9, bytes(32), 5), Media("wav", "pcm", 8000, 1, 9)
        )
    )
    for one in (begun, begun.with_multipart("n"), done, State(Announced("r", "t"), MIB, "m")):
        assert states.read(one.written()) == one
