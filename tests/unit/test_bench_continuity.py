"""What is missing from a disturbed session, and what is there twice."""

from ai2text.asr.v1 import result_pb2

from bench.continuity import changes_by_stretch, difference

Final = result_pb2.FinalResult

WHOLE = [
    Final(final_index=0, text="One two three.", start_ms=0, end_ms=1000),
    Final(final_index=1, text="four five", start_ms=2000, end_ms=3000),
    Final(final_index=2, text="six", start_ms=4000, end_ms=5000),
]


def test_the_same_is_no_different() -> None:
    seen = difference(WHOLE, [Final(final_index=0, text="one two three", start_ms=10, end_ms=990), *WHOLE[1:]])
    assert (seen.lost, seen.doubled, seen.words_changed, seen.words) == (0, 0, 0, 6)


def test_a_final_that_never_came_is_lost() -> None:
    assert difference(WHOLE, [WHOLE[0], WHOLE[2]]).lost == 2  # its index is missing, and its sound
    renumbered = Final(final_index=1, text="six", start_ms=4000, end_ms=5000)
    seen = difference(WHOLE, [WHOLE[0], renumbered])
    assert (seen.lost, seen.words_changed) == (1, 2)
    assert difference(WHOLE, []).words_changed == 6


def test_the_same_index_twice_is_doubled() -> None:
    assert difference(WHOLE, [WHOLE[0], *WHOLE]).doubled == 1


def test_the_same_sound_twice_is_doubled_under_another_index_too() -> None:
    again = Final(final_index=3, text="six", start_ms=4100, end_ms=5000)
    seen = difference(WHOLE, [*WHOLE, again])
    assert (seen.doubled, seen.words_changed) == (1, 1)


def test_an_utterance_that_was_cut_in_two_is_neither_lost_nor_doubled() -> None:
    halves = [
        Final(final_index=0, text="one two", start_ms=0, end_ms=600),
        Final(final_index=1, text="three", start_ms=600, end_ms=1000),
        Final(final_index=2, text="four five", start_ms=2000, end_ms=3000),
        Final(final_index=3, text="six", start_ms=4000, end_ms=5000),
    ]
    seen = difference(WHOLE, halves)
    assert (seen.lost, seen.doubled, seen.words_changed) == (0, 0, 0)


def test_changed_words_are_counted_where_in_the_sound_they_were_said() -> None:
    other = [
        Final(final_index=0, text="one too tree", start_ms=0, end_ms=1000),
        Final(final_index=1, text="four more five", start_ms=2000, end_ms=3000),
        WHOLE[2],
    ]
    assert changes_by_stretch(WHOLE, other, [0, 1500, 3500]) == [2, 1, 0]
    assert changes_by_stretch(WHOLE, other, [600, 2200]) == [2, 1], "the first stretch has what comes before it"
    assert changes_by_stretch(WHOLE, WHOLE[:2], [0, 1500, 3500]) == [0, 0, 1]
    assert changes_by_stretch(WHOLE, [], [0, 1500, 3500]) == [3, 2, 1]
    assert changes_by_stretch(WHOLE, WHOLE, [0]) == [0]
