"""Where the figures of a benchmark go."""

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path("build/bench")


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
    return f"{os.cpu_count()} cores, {model}, Python {platform.python_version()}"


def write(name: str, figures: Mapping[str, float | int | str]) -> Path:
    """Write one flat object of figures, the unit in each key, to build/bench/<name>.json."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
