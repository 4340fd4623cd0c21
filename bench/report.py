"""Where the figures of a benchmark go."""

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path
from re import Pattern

FOLDER = Path("build/bench")

Figure = float | int | str


def machine() -> str:
    """The machine that ran, in a line."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return ", ".join([f"{os.cpu_count()} cores", model, *_cards(), f"Python {platform.python_version()}"])


def _cards() -> list[str]:
    """The names of the graphics cards, where NVIDIA's tool tells them."""
    if shutil.which("nvidia-smi") is None:
        return []
    asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    return subprocess.run(asked, capture_output=True, text=True, timeout=30, check=False).stdout.split("\n")[:-1]


def write(name: str, figures: Mapping[str, Figure]) -> Path:
    """Write one flat object of figures, the unit in each key, to build/bench/<name>.json."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return draft.replace(path)


def read(name: str) -> dict[str, Figure]:
    """The figures of build/bench/<name>.json; none when it was never written, or is damaged."""
    try:
        figures = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return figures if isinstance(figures, dict) else {}


def merge(name: str, figures: Mapping[str, Figure], groups: Collection[Pattern[str]] = ()) -> Path:
    """Write figures beside those that are there; a figure that was there is replaced.

    Of each group of keys of which one is written, those that were there go.
    """
    anew = [group for group in groups if any(group.fullmatch(key) for key in figures)]
    kept = {key: value for key, value in read(name).items() if not any(group.fullmatch(key) for group in anew)}
    return write(name, kept | dict(figures))
