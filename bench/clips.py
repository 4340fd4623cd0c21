"""The evaluation clips of the shared data folder: read where they lie, never copied."""

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
    duration_s: float


def load(folder: Path) -> list[Clip]:
    """The clips under `speech/`, in the order of the manifest; FileNotFoundError when the folder is not there."""
    rows = [json.loads(line) for line in (folder / "speech_manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    return [
        Clip(folder / row["file"], row["lang"], row["transcript"], row["duration_s"])
        for row in rows
        if row["file"].startswith("speech/")
    ]


def pcm16(path: Path) -> bytes:
    """The clip as signed 16-bit mono PCM at 16 kHz, as the command sends it."""
    with av.open(str(path)) as opened:
        return b"".join(pcm.from_frames(opened.decode(audio=0)))
