"""The model repository that Triton is given: `triton_models`, with what this machine's settings change in it.

The models stay where they are; each gets a folder with a link to them and its own `config.pbtxt`. Whisper gets three:
two are one more instance each, at a low priority of the operating system, `whisper-background` for what nobody waits
for in a live session, `whisper-batch` for recordings, of which it decodes many clips at once.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from mesh.home import REPOSITORY

SOURCE = REPOSITORY / "triton_models"
BACKGROUND = "-background"
BATCH = "-batch"
GPU_BATCH = "32"
GPU_INSTANCES = "4"
"""Of Whisper: while one of them reads and writes what it shares with Triton, another has the GPU."""
RECORDED_TOGETHER = "8"
"""Clips that `whisper-batch` decodes at once on the CPU."""
GATHERING_US = "100000"
"""How long it waits for more clips. Those of one file come together, and nobody waits for the first of them."""
_INSTANCES = re.compile(r"\{ kind: KIND_CPU, count: (\d+) \}")
_ANY_INSTANCES = re.compile(r"count: (\d+) \}")
_BATCH = re.compile(r"^max_batch_size: (\d+)$", re.MULTILINE)
_DELAY = re.compile(r"max_queue_delay_microseconds: (\d+)")


def assemble(folder: Path, environ: Mapping[str, str], source: Path = SOURCE) -> Path:
    """Writes the repository into `folder`, in the place of an earlier one. Returns it.

    Raises ValueError for a setting that is no number above 0.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for config in sorted(source.glob("*/config.pbtxt")):
        model = folder / config.parent.name
        model.mkdir(parents=True)
        (model / "1").symlink_to(config.parent / "1")
        own = configured(config.read_text(encoding="utf-8"), model.name, environ)
        (model / config.name).write_text(own, encoding="utf-8")
    whisper = (folder / "whisper" / "config.pbtxt").read_text(encoding="utf-8")
    alone = _ANY_INSTANCES.sub("count: 1 }", whisper)
    _add(folder, f"whisper{BACKGROUND}", alone)
    together = GPU_BATCH if "KIND_GPU" in whisper else RECORDED_TOGETHER
    many = _BATCH.sub(f"max_batch_size: {together}", alone)
    _add(folder, f"whisper{BATCH}", _DELAY.sub(f"max_queue_delay_microseconds: {GATHERING_US}", many))
    return folder


def _add(folder: Path, name: str, config: str) -> None:
    """One more model that is Whisper, with a configuration of its own."""
    shutil.copytree(folder / "whisper", folder / name, symlinks=True)
    (folder / name / "config.pbtxt").write_text(config, encoding="utf-8")


def instances(folder: Path) -> dict[str, int]:
    """How many processes each model of an assembled repository runs in. On several GPUs it is as many on each."""
    configs = {path.parent.name: path.read_text(encoding="utf-8") for path in folder.glob("*/config.pbtxt")}
    counts = {model: _ANY_INSTANCES.search(config) for model, config in configs.items()}
    return {model: int(count[1]) for model, count in counts.items() if count}


def configured(config: str, model: str, environ: Mapping[str, str]) -> str:
    """A model's configuration with its settings, here for `whisper`:

    AI2TEXT_WHISPER_DEVICE      `cuda`: instances on each GPU, instead of on the CPU
    AI2TEXT_WHISPER_INSTANCES   how many of them; 4 on a GPU
    AI2TEXT_WHISPER_BATCH_SIZE  how many requests one of them may answer at once; 32 on a GPU
    AI2TEXT_WHISPER_ONNX        on the CPU the instances are threads of one process, which share what that folder has
    """
    setting = f"AI2TEXT_{model.upper()}"
    on_gpu = is_on_gpu(model, environ)
    kind = "KIND_GPU" if on_gpu else "KIND_CPU"
    threaded = bool(environ.get(f"{setting}_ONNX")) and not on_gpu
    wanted = count(environ, f"{setting}_INSTANCES") or (GPU_INSTANCES if on_gpu and model == "whisper" else r"\1")
    instances = "1" if threaded else wanted
    batch = count(environ, f"{setting}_BATCH_SIZE") or (GPU_BATCH if on_gpu else r"\1")
    config = _INSTANCES.sub(rf"{{ kind: {kind}, count: {instances} }}", config)
    return _BATCH.sub(rf"max_batch_size: {batch}", config)


def is_on_gpu(model: str, environ: Mapping[str, str]) -> bool:
    """Whether Triton is to run `model` on GPUs."""
    return environ.get(f"AI2TEXT_{model.upper()}_DEVICE", "").startswith("cuda")


def count(environ: Mapping[str, str], name: str) -> str:
    """The number above 0 that a setting says; empty when it says nothing. Raises ValueError when it is no such."""
    value = environ.get(name, "")
    if value and not (value.isascii() and value.isdigit() and int(value) > 0):
        raise ValueError(f"{name} must be a number above 0, not {value!r}")
    return value
