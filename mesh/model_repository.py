"""The model repository that Triton is given: `triton_models`, with what this machine's settings change in it.

The models stay where they are; each gets a folder with a link to them and its own `config.pbtxt`. Whisper gets two: the
second, `whisper-background`, is one more instance at a low priority of the operating system, for what nobody waits for.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from mesh.home import REPOSITORY

SOURCE = REPOSITORY / "triton_models"
BACKGROUND = "-background"
GPU_BATCH = "32"
_INSTANCES = re.compile(r"\{ kind: KIND_CPU, count: (\d+) \}")
_ANY_INSTANCES = re.compile(r"count: (\d+) \}")
_BATCH = re.compile(r"^max_batch_size: (\d+)$", re.MULTILINE)


def assemble(folder: Path, environ: Mapping[str, str], source: Path = SOURCE) -> Path:
    """Writes the repository into `folder`, in the place of an earlier one. Returns it.

    Raises ValueError for a setting that is no number above 0.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for config in sorted(source.glob("*/config.pbtxt")):
        model = folder / config.parent.name
        model.mkdir(parents=True)
        (model / "1").symlink_to(config.parent / "1")
        (model / config.name).write_text(configured(config.read_text(), model.name, environ))
    background = folder / f"whisper{BACKGROUND}"
    shutil.copytree(folder / "whisper", background, symlinks=True)
    config = background / "config.pbtxt"
    config.write_text(_ANY_INSTANCES.sub("count: 1 }", config.read_text()))
    return folder


def instances(folder: Path) -> dict[str, int]:
    """How many processes each model of an assembled repository runs in. On several GPUs it is as many on each."""
    counts = {config.parent.name: _ANY_INSTANCES.search(config.read_text()) for config in folder.glob("*/config.pbtxt")}
    return {model: int(count[1]) for model, count in counts.items() if count}


def configured(config: str, model: str, environ: Mapping[str, str]) -> str:
    """A model's configuration with its settings, here for `whisper`:

    AI2TEXT_WHISPER_DEVICE      `cuda`: instances on each GPU, instead of on the CPU
    AI2TEXT_WHISPER_INSTANCES   how many of them
    AI2TEXT_WHISPER_BATCH_SIZE  how many requests one of them may answer at once; 32 on a GPU
    """
    setting = f"AI2TEXT_{model.upper()}"
    on_gpu = environ.get(f"{setting}_DEVICE", "").startswith("cuda")
    kind = "KIND_GPU" if on_gpu else "KIND_CPU"
    instances = _count(environ, f"{setting}_INSTANCES") or r"\1"
    batch = _count(environ, f"{setting}_BATCH_SIZE") or (GPU_BATCH if on_gpu else r"\1")
    config = _INSTANCES.sub(rf"{{ kind: {kind}, count: {instances} }}", config)
    return _BATCH.sub(rf"max_batch_size: {batch}", config)


def _count(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "")
    if value and not (value.isascii() and value.isdigit() and int(value) > 0):
        raise ValueError(f"{name} must be a number above 0, not {value!r}")
    return value
