"""Where recorded speech is cut into chunks."""

import itertools
import random
from collections.abc import Sequence

import pytest

from servers.asr.batch.chunking import Chunker, ChunkRules, Span

RULES = ChunkRules(
    pause=2, click=2, padding=1, longest=40, cut_from=20, enough=15, rest=5, break_=10
)  # fmt: skip


def voices(*stretches: tuple[float, int]) -> list[float]:
    return [probability for probability, windows in stretches for _ in range(windows)]


def chunked(probabilities: Sequence[float], rules: ChunkRules = RULES, piece: int = 1000) -> list[Span]:
    chunker = Chunker(rules)
    found = []
    for begin in range(0, len(probabilities), piece):
        found += chunker.feed(probabilities[begin : begin + piece])
    return [*found, *chunker.finish()]


def test_silence_has_no_chunks() -> None:
    assert chunked(voices((0.1, 500))) == []


def test_a_chunk_has_some_of_the_silence_around_it() -> None:
    assert chunked(voices((0, 20), (1, 8), (0, 20))) == [Span(19, 29)]


def test_a_click_is_no_speech() -> None:
    assert chunked(voices((0, 20), (1, 1), (0, 20))) == []


def test_speech_that_ends_with_the_audio_is_kept() -> None:
    assert chunked(voices((0, 5), (1, 8))) == [Span(4, 13)]


def test_short_pauses_do_not_end_a_chunk() -> None:
    assert chunked(voices((1, 8), (0, 4), (1, 8), (0, 20))) == [Span(0, 21)]


def test_a_long_silence_ends_a_short_chunk_and_a_shorter_one_a_long_chunk() -> None:
    assert chunked(voices((1, 8), (0, 9), (1, 8), (0, 20))) == [Span(0, 26)]
    assert chunked(voices((1, 8), (0, 11), (1, 8), (0, 20))) == [Span(0, 9), Span(18, 28)]
    assert chunked(voices((1, 16), (0, 6), (1, 8), (0, 20))) == [Span(0, 17), Span(21, 31)]


def test_a_chunk_that_would_get_too_long_ends_at_its_last_pause() -> None:
    spans = chunked(voices((1, 25), (0, 3), (1, 25), (0, 20)))
    assert spans == [Span(0, 26), Span(27, 54)]


def test_speech_without_a_pause_is_cut_where_it_is_quietest() -> None:
    spans = chunked(voices((1, 30), (0.4, 1), (1, 40), (0, 20)))
    assert spans[0] == Span(0, 30)
    assert spans[1].start == 30


def test_a_pause_near_the_beginning_is_no_place_to_cut() -> None:
    spans = chunked(voices((1, 4), (0, 3), (1, 20), (0.4, 1), (1, 40), (0, 20)))
    assert spans[0] == Span(0, 27)


@pytest.mark.parametrize("seed", range(20))
def test_chunks_fit_whisper_and_do_not_overlap_however_the_audio_comes(seed: int) -> None:
    random_ = random.Random(seed)
    speech = [voices((random_.random(), random_.randrange(1, 60))) for _ in range(300)]
    probabilities = [probability for stretch in speech for probability in stretch]
    spans = chunked(probabilities, ChunkRules())
    assert spans == chunked(probabilities, ChunkRules(), piece=random_.randrange(1, 50))
    assert all(0 < span.length * 0.032 <= 28.5 for span in spans)
    assert all(one.end <= other.start for one, other in itertools.pairwise(spans))
    assert spans[-1].end <= len(probabilities)


def test_what_is_settled_never_reaches_into_speech() -> None:
    chunker = Chunker(RULES)
    list(chunker.feed(voices((0, 50))))
    assert chunker.quiet_until == 49
    list(chunker.feed(voices((1, 5))))
    assert chunker.quiet_until == 49
    assert list(chunker.feed(voices((0, 30)))) == [Span(49, 56)]
    assert chunker.quiet_until == 84
