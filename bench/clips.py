"""Clips with what is said in them: the shared data folder's, or the demo's; read where they lie, never copied."""

import json
from dataclasses import dataclass
from pathlib import Path

import av

from clients.cli import pcm

DEFAULT_FOLDER = Path("../shared/data")


@dataclass(frozen=True)
class Clip:
    """One recording with what is said in it."""

    path: Path
    language: str
    transcript: str


def load(folder: Path) -> list[Clip]:
    """The clips under `speech/`, in the order of the manifest; FileNotFoundError when the folder is not there."""
    return [clip for clip in _listed(folder / "speech_manifest.jsonl") if folder / "speech" in clip.path.parents]


def demo(folder: Path) -> list[Clip]:
    """The clips of `make speech`; FileNotFoundError when they are not there."""
    return _listed(folder / "manifest.jsonl")


def found(shared: Path, demo_folder: Path) -> tuple[list[Clip], str]:
    """The shared clips, else the demo's, and in words which; FileNotFoundError, saying what to do, without either."""
    try:
        return load(shared), f"the clips of {shared}"
    except FileNotFoundError:
        pass
    try:
        return demo(demo_folder), "the demo's clips, because the shared data are absent"
    except FileNotFoundError:
        raise FileNotFoundError(f"there are no clips in {shared}, and none of `make speech`: run it") from None


def _listed(manifest: Path) -> list[Clip]:
    rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    return [Clip(manifest.parent / row["file"], row["lang"], row["transcript"]) for row in rows]


def pcm16(path: Path) -> bytes:
    """The clip as signed 16-bit mono PCM at 16 kHz, as the command sends it."""
    with av.open(str(path)) as opened:
        return b"".join(pcm.from_frames(opened.decode(audio=0)))
