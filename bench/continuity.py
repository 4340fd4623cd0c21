"""Whether a disturbed session tells the same as an undisturbed one of the same sound."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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


def changed(undisturbed: Sequence[Final], disturbed: Sequence[Final]) -> Iterator[tuple[str, str]]:
    """Each text of the undisturbed session that the other has otherwise, and what it has for the same sound."""
    for final in undisturbed:
        heard = " ".join(other.text for other in disturbed if _overlap_ms(final, other) > 0)
        if normalised(heard) != normalised(final.text):
            yield final.text, heard


def _is_again(finals: Sequence[Final], place: int) -> bool:
    """Whether more than half of this final's sound belongs to an earlier one of another index."""
    final = finals[place]
    others = [other for other in finals[:place] if other.final_index != final.final_index]
    return any(_overlap_ms(final, other) * 2 > final.end_ms - final.start_ms for other in others)


def _overlap_ms(one: Final, other: Final) -> int:
    if one.channel != other.channel:
        return 0
    return min(one.end_ms, other.end_ms) - max(one.start_ms, other.start_ms)
