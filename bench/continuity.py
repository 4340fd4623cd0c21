"""Whether a disturbed session tells the same as an undisturbed one of the same sound."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jiwer
from ai2text.asr.v1 import result_pb2

from bench.scoring import normalised, word_changes

Final = result_pb2.FinalResult


@dataclass(frozen=True)
class Difference:
    """What a session lacks or has too much of."""

    lost: int
    """Indices that never came, and finals of the undisturbed session for whose sound the other has none."""
    doubled: int
    """Finals that came twice: by their index, or because another one is about the same sound."""
    words_changed: int
    """Words that were left out, put in, or replaced by others; case and punctuation do not count."""
    words: int
    """Of the undisturbed session."""


def difference(undisturbed: Sequence[Final], disturbed: Sequence[Final]) -> Difference:
    """How the disturbed session differs."""
    indices = [final.final_index for final in disturbed]
    gaps = set(range(max(indices, default=-1) + 1)) - set(indices)
    unheard = [final for final in undisturbed if not any(_overlap_ms(final, other) > 0 for other in disturbed)]
    said, heard = (" ".join(final.text for final in finals) for finals in (undisturbed, disturbed))
    return Difference(
        lost=len(gaps) + len(unheard),
        doubled=len(indices) - len(set(indices)) + sum(_is_again(disturbed, place) for place in range(len(disturbed))),
        words_changed=word_changes(said, heard),
        words=len(normalised(said).split()),
    )


def changes_by_stretch(
    undisturbed: Sequence[Final], disturbed: Sequence[Final], starts_ms: Sequence[float]
) -> list[int]:
    """How many words are changed in each stretch of the sound; one lasts until the next begins, the last to the end.

    A word lies where its place among the words of its final says, by time; a word that was put in, where the disturbed
    session has it. What comes before the first stretch belongs to that. Together they are `words_changed`.
    """
    said, heard = _placed(undisturbed), _placed(disturbed)
    counts = [0] * len(starts_ms)
    for place_ms in _changed_places(said, heard):
        counts[max(0, bisect_right(starts_ms, place_ms) - 1)] += 1
    return counts


def changed(undisturbed: Sequence[Final], disturbed: Sequence[Final]) -> Iterator[tuple[str, str]]:
    """Each text of the undisturbed session that the other has otherwise, and what it has for the same sound."""
    for final in undisturbed:
        heard = " ".join(other.text for other in disturbed if _overlap_ms(final, other) > 0)
        if normalised(heard) != normalised(final.text):
            yield final.text, heard


def _placed(finals: Sequence[Final]) -> list[tuple[str, float]]:
    """Each word, and its middle in milliseconds where all words of a final are as long."""
    placed = []
    for final in finals:
        words = normalised(final.text).split()
        step_ms = (final.end_ms - final.start_ms) / max(1, len(words))
        placed += [(word, final.start_ms + (number + 0.5) * step_ms) for number, word in enumerate(words)]
    return placed


def _changed_places(said: Sequence[tuple[str, float]], heard: Sequence[tuple[str, float]]) -> Iterator[float]:
    if not said or not heard:
        yield from (place_ms for _, place_ms in (*said, *heard))
        return
    one, other = (" ".join(word for word, _ in words) for words in (said, heard))
    compared = jiwer.process_words(one, other)
    for chunk in compared.alignments[0]:
        if chunk.type == "insert":
            yield from (place_ms for _, place_ms in heard[chunk.hyp_start_idx : chunk.hyp_end_idx])
        elif chunk.type != "equal":
            yield from (place_ms for _, place_ms in said[chunk.ref_start_idx : chunk.ref_end_idx])


def _is_again(finals: Sequence[Final], place: int) -> bool:
    """Whether more than half of this final's sound belongs to an earlier one of another index."""
    final = finals[place]
    others = [other for other in finals[:place] if other.final_index != final.final_index]
    return any(_overlap_ms(final, other) * 2 > final.end_ms - final.start_ms for other in others)


def _overlap_ms(one: Final, other: Final) -> int:
    if one.channel != other.channel:
        return 0
    return min(one.end_ms, other.end_ms) - max(one.start_ms, other.start_ms)
