"""The pieces of a pushed session are put in order for one reader, and there is a bound to them."""

import asyncio

import pytest

from servers.asr.pieces import MAX_AHEAD, MAX_CALLS, MAX_QUEUED, MAX_QUEUED_BYTES, Pieces
from servers.common.errors import Overloaded, SequenceGap, SessionNotFound
from tests.fakes.clocks import settled

PATIENT_S = 60.0
SOON_S = 0.02


async def test_pieces_that_overlap_are_read_in_order() -> None:
    pieces: Pieces[int] = Pieces(PATIENT_S)
    puts = [asyncio.create_task(pieces.put(number, number, 1)) for number in (2, 0, 3, 1, *range(20, 3, -1))]
    assert [await anext(pieces) for _ in range(21)] == list(range(21))
    await asyncio.gather(*puts)
    assert pieces.next_sequence == 21


async def test_a_piece_that_came_already_is_not_read_twice() -> None:
    pieces: Pieces[str] = Pieces(PATIENT_S)
    early = [asyncio.create_task(pieces.put(1, text, 1)) for text in ("b", "b again")]
    await settled()
    for text in ("a", "a again"):
        await pieces.put(0, text, 1)
    await asyncio.gather(*early)
    pieces.close(SessionNotFound("closed"))
    assert [piece async for piece in pieces] == ["a", "b"]


async def test_a_piece_whose_forerunners_do_not_come_is_a_gap() -> None:
    pieces: Pieces[int] = Pieces(SOON_S)
    await pieces.put(0, 0, 1)
    with pytest.raises(SequenceGap) as gap:
        await pieces.put(2, 2, 1)
    assert gap.value.metadata == {"next_sequence": "1"}
    await pieces.put(1, 1, 1)
    assert pieces.next_sequence == 2


async def test_a_piece_too_far_ahead_does_not_wait() -> None:
    pieces: Pieces[int] = Pieces(PATIENT_S)
    waiting = asyncio.create_task(pieces.put(MAX_AHEAD, 0, 1))
    for sequence in (MAX_AHEAD + 1, 2**64 - 1):
        with pytest.raises(SequenceGap):
            await pieces.put(sequence, 0, 1)
    await settled()
    assert not waiting.done()
    waiting.cancel()


async def test_only_so_many_calls_wait() -> None:
    pieces: Pieces[int] = Pieces(PATIENT_S)
    waiting = [asyncio.create_task(pieces.put(1, 0, 1)) for _ in range(MAX_CALLS)]
    await settled()
    with pytest.raises(Overloaded):
        await pieces.put(1, 0, 1)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    await pieces.put(0, 0, 1)


async def test_a_full_queue_makes_pieces_wait_and_refuses_those_that_waited_long() -> None:
    pieces: Pieces[int] = Pieces(SOON_S)
    for number in range(MAX_QUEUED):
        await pieces.put(number, number, 1)
    results = await asyncio.gather(
        *(pieces.put(number, number, 1) for number in (MAX_QUEUED, MAX_QUEUED + 1)), return_exceptions=True
    )
    assert [type(result) for result in results] == [Overloaded, Overloaded]
    assert pieces.next_sequence == MAX_QUEUED
    assert await anext(pieces) == 0
    await pieces.put(MAX_QUEUED, MAX_QUEUED, 1)


async def test_the_queue_is_bounded_in_bytes_too_but_takes_any_one_piece() -> None:
    pieces: Pieces[int] = Pieces(SOON_S)
    await pieces.put(0, 0, MAX_QUEUED_BYTES + 1)
    with pytest.raises(Overloaded):
        await pieces.put(1, 1, 1)
    assert await anext(pieces) == 0
    await pieces.put(1, 1, MAX_QUEUED_BYTES - 1)
    await pieces.put(2, 2, 1)
    with pytest.raises(Overloaded):
        await pieces.put(3, 3, 1)


async def test_a_call_that_is_given_up_keeps_no_place() -> None:
    pieces: Pieces[str] = Pieces(PATIENT_S)
    given_up = asyncio.create_task(pieces.put(1, "given up", 1))
    await settled()
    given_up.cancel()
    await settled()
    await pieces.put(0, "a", 1)
    assert pieces.next_sequence == 1
    await pieces.put(1, "b", 1)
    assert [await anext(pieces) for _ in range(2)] == ["a", "b"]


async def test_after_the_end_new_pieces_are_refused_and_old_ones_acknowledged() -> None:
    pieces: Pieces[int] = Pieces(PATIENT_S)
    await pieces.put(0, 0, 1)
    early = asyncio.create_task(pieces.put(2, 2, 1))
    await settled()
    pieces.close(SessionNotFound("closed"))
    for refused in (early, pieces.put(1, 1, 1)):
        with pytest.raises(SessionNotFound):
            await refused
    await pieces.put(0, 0, 1)
    assert [piece async for piece in pieces] == [0]
