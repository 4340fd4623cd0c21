"""The right answers to the questions of the search benchmark, by comparing each with every vector there is."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from bench.search.contents import SHARES, Contents, Share
from bench.search.shape import Matrix
from bench.search.vectors import Ids, nearest

QUESTIONS = 500
NEIGHBOURS = 10
EVERYTHING = "all"
"""The name of the answers from among all; the others have the names of the shares."""


def known(path: Path) -> dict[str, Ids]:
    """Numbers of segments, [questions, NEIGHBOURS], by what was looked through; none when the file is not there."""
    if not path.is_file():
        return {}
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def find(contents: Contents, count: int, told: Callable[[int], None]) -> dict[str, Ids]:
    """Compare. `told` hears how many vectors have been looked through."""
    _, asked = contents.questions(QUESTIONS)
    held: dict[Share, list[Matrix]] = {share: [] for share in SHARES}

    def blocks() -> Iterator[tuple[int, Matrix]]:
        for first, block in contents.cloud.blocks(count):
            numbers = np.arange(first, first + len(block))
            for share, kept in held.items():
                kept.append(block[share.holds(numbers)])
            yield first, block
            told(first + len(block))

    found = {EVERYTHING: nearest(asked, blocks(), NEIGHBOURS).ids}
    for share, kept in held.items():
        numbers = np.arange(share.rest, count, share.of)
        places = nearest(asked, iter([(0, np.concatenate(kept))]), min(NEIGHBOURS, len(numbers))).ids
        found[share.name] = numbers[places]
    return found


def save(path: Path, found: dict[str, Ids]) -> None:
    """Keep the answers; whole or not at all."""
    draft = path.with_suffix(".new")
    with draft.open("wb") as file:
        np.savez(file, **found)  # type: ignore[arg-type]  # its stub takes the names for options
    draft.replace(path)
