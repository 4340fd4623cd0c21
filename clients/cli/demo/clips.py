"""The clips of the demo and what is asked about them."""

import json
from dataclasses import dataclass
from pathlib import Path

from clients.cli.problem import Problem

MANIFEST = "manifest.jsonl"


@dataclass(frozen=True)
class Clip:
    """A short recording that `python -m mesh.models --speech` has put into the home folder."""

    file: str
    """Its path below the speech folder."""
    speaker: str


@dataclass(frozen=True)
class Query:
    """Something to search for, and the clip that has to be among the first hits."""

    kind: str
    text: str
    clip: Clip


COACH = Clip("vieneu/binh-nam-mien-bac.wav", "Vietnamese, a man from the north")
CHILDREN = Clip("vieneu/doan-nu-mien-nam.wav", "Vietnamese, a woman from the south")
FOX = Clip("audioeval-en/quick-brown-fox.wav", "English")

CLIPS = (COACH, CHILDREN, FOX)

FILE = Clip("vieneu/ngoc-nu-mien-bac.wav", "Vietnamese, a woman from the north")
"""The one that is uploaded."""

QUERIES = (
    Query("a phrase in Vietnamese", "muốn được nhìn nhận", COACH),
    Query("the same phrase without accents", "muon duoc nhin nhan", COACH),
    Query("an English question about a Vietnamese sentence", "What is good for children and their parents?", CHILDREN),
)


@dataclass(frozen=True)
class Reference:
    """What the manifest says about a clip."""

    path: Path
    language_code: str
    transcript: str


def references(folder: Path) -> dict[str, Reference]:
    """The manifest of the speech folder, by file. Raises Problem when the clips are not there."""
    try:
        lines = (folder / MANIFEST).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise Problem(f"There are no clips in {folder}.", "`make speech` fetches them.") from None
    entries = {entry["file"]: entry for entry in map(json.loads, lines)}
    missing = [clip.file for clip in (*CLIPS, FILE) if clip.file not in entries]
    if missing:
        raise Problem(f"{folder} lacks {', '.join(missing)}.", "`make speech` fetches them.")
    return {file: Reference(folder / file, entry["lang"], entry["transcript"]) for file, entry in entries.items()}
