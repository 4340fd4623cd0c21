"""What is kept of the sound of a live session, and where a session lies in it."""

import asyncio

import pytest
from ai2text.asr.v1 import result_pb2, speech_service_pb2

from clients.cli.leg import silences
from clients.cli.tape import Tape
from clients.cli.timeline import Place

MS = 4
"""Bytes."""


def sound(begin_ms: int, end_ms: int) -> bytes:
    return b"".join(number.to_bytes(MS, "little") for number in range(begin_ms, end_ms))


async def test_what_was_recorded_is_read_from_any_place_that_is_kept() -> None:
    tape = Tape(MS)
    await tape.record(sound(0, 10))
    await tape.record(sound(10, 15))
    assert await tape.read(0, 100 * MS) == sound(0, 15)
    assert await tape.read(12 * MS, 2 * MS) == sound(12, 14)
    tape.forget_before(5 * MS)
    assert (tape.start, tape.end) == (5 * MS, 15 * MS)
    assert await tape.read(5 * MS, MS) == sound(5, 6)
    tape.forget_before(2 * MS)
    assert tape.start == 5 * MS


async def test_it_begins_at_whole_milliseconds_and_never_after_its_end() -> None:
    tape = Tape(MS)
    await tape.record(sound(0, 10) + b"x")
    tape.forget_before(3 * MS + 1)
    assert tape.start == 3 * MS
    tape.forget_before(99 * MS)
    assert (tape.start, tape.end) == (10 * MS, 10 * MS + 1)
    await tape.record(b"yz")
    assert await tape.read(10 * MS, 99) == b"xyz"


async def test_a_reader_waits_for_more_and_learns_of_the_end() -> None:
    tape = Tape(MS)
    reading = asyncio.create_task(tape.read(0, 10))
    await asyncio.sleep(0)
    assert not reading.done()
    await tape.record(b"abcd")
    assert await reading == b"abcd"
    reading = asyncio.create_task(tape.read(4, 10))
    await asyncio.sleep(0)
    tape.finish()
    assert await reading == b""


async def test_the_source_is_held_back_while_too_much_is_unread() -> None:
    tape = Tape(MS, keep_ms=10)
    await tape.record(sound(0, 10))
    recording = asyncio.create_task(tape.record(sound(10, 12)))
    await asyncio.sleep(0.01)
    assert not recording.done()
    assert await tape.read(0, 4 * MS) == sound(0, 4)
    assert await tape.read(4 * MS, 99 * MS) == sound(4, 10)
    await recording
    assert tape.start == 0, "what was not read yet is no reason to forget"


async def test_a_source_that_cannot_be_held_back_loses_the_oldest() -> None:
    tape = Tape(MS, keep_ms=10, unread_ms=20)
    for begin in range(0, 30, 10):
        await tape.record(sound(begin, begin + 10))
    assert tape.start == 0
    await tape.record(sound(30, 35))
    assert (tape.start, tape.end) == (5 * MS, 35 * MS)
    assert await tape.read(5 * MS, MS) == sound(5, 6)


async def test_of_what_was_read_only_the_newest_is_kept() -> None:
    tape = Tape(MS, keep_ms=10)
    for begin in range(0, 100, 5):
        await tape.record(sound(begin, begin + 5))
        await tape.read(begin * MS, 5 * MS)
    assert (tape.start, tape.end) == (85 * MS, 100 * MS)
    assert await tape.read(85 * MS, MS) == sound(85, 86)


async def test_sound_that_can_wait_is_not_sent_far_ahead_of_what_is_settled() -> None:
    tape = Tape(MS, unsettled_ms=10)
    await tape.record(sound(0, 50))
    assert await tape.read(0, 10 * MS) == sound(0, 10)
    await tape.let_settle(9 * MS)
    settling = asyncio.create_task(tape.let_settle(10 * MS))
    await asyncio.sleep(0.01)
    assert not settling.done()
    tape.forget_before(3 * MS)
    await settling


async def test_a_resume_gives_a_reader_what_was_kept_and_forgets_nothing_more() -> None:
    tape = Tape(MS, keep_ms=10)
    await tape.record(sound(0, 9))
    await tape.read(9 * MS - MS, MS)
    assert await tape.read(2 * MS, 3 * MS) == sound(2, 5)
    assert tape.start == 0


def test_silence_comes_in_pieces_that_the_server_takes() -> None:
    lengths = [request.silence.duration.ToMilliseconds() for request in silences(125_001)]
    assert lengths == [60_000, 60_000, 5_001]
    assert list(silences(0)) == list(silences(-5)) == []


@pytest.mark.parametrize("kind", ["speech_started", "speech_ended", "partial", "final"])
def test_times_of_a_later_session_are_counted_from_the_beginning_of_the_sound(kind: str) -> None:
    word = result_pb2.Word(text="chào", start_ms=10, end_ms=20)
    events = {
        "speech_started": speech_service_pb2.SpeechStarted(start_ms=5),
        "speech_ended": speech_service_pb2.SpeechEnded(end_ms=30),
        "partial": result_pb2.PartialResult(start_ms=5, end_ms=30, words=[word]),
        "final": result_pb2.FinalResult(start_ms=5, end_ms=30, words=[word], final_index=1),
    }
    response = speech_service_pb2.StreamingRecognizeResponse(cursors=result_pb2.Cursors(received_ms=40, final_index=2))
    getattr(response, kind).CopyFrom(events[kind])
    moved = Place(begin_ms=1_000, finals=7).shifted(response)
    event = getattr(moved, kind)
    assert [getattr(event, name, at) for name, at in (("start_ms", 1_005), ("end_ms", 1_030))] == [1_005, 1_030]
    assert [word.start_ms for word in getattr(event, "words", [])] in ([], [1_010])
    assert getattr(event, "final_index", 8) == 8
    assert (moved.cursors.received_ms, moved.cursors.final_ms, moved.cursors.final_index) == (1_040, 1_000, 9)
    assert response.cursors.received_ms == 40, "the answer itself is left as it came"


def test_the_first_session_is_not_moved() -> None:
    response = speech_service_pb2.StreamingRecognizeResponse(cursors=result_pb2.Cursors(received_ms=40))
    assert Place().shifted(response) is response
