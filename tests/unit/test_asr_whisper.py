"""What is asked of Whisper on Triton for each kind of request."""

from typing import Any

import grpc
import numpy as np
import pytest

from servers.asr.recognition import Request
from servers.asr.whisper import LANGUAGES, TritonWhisper
from servers.common.triton import TritonModel


def test_only_languages_that_every_model_knows_are_offered() -> None:
    assert {"vi", "en", "zh", "haw"} < LANGUAGES
    assert "yue" not in LANGUAGES  # large-v3 alone has a mark for it


class Asked(Exception):
    """Ends a request once it is known what it asks."""


@pytest.mark.parametrize(
    ("careful", "background", "model", "beam"),
    [(True, False, "whisper", 3), (True, True, "whisper-background", 5), (False, True, "whisper-background", 1)],
)
async def test_each_kind_has_its_instance_and_its_beam(
    monkeypatch: pytest.MonkeyPatch, careful: bool, background: bool, model: str, beam: int
) -> None:
    async def infer(self: TritonModel, inputs: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        raise Asked(self._name, int(inputs["BEAM_SIZE"][0, 0]), timeout_s)

    monkeypatch.setattr(TritonModel, "infer", infer)
    async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
        whisper = TritonWhisper(channel, final_beam=3, refinement_beam=5, timeout_s=20.0)
        with pytest.raises(Asked) as asked:
            await whisper.recognize(Request(np.zeros(16, np.float32), careful=careful, background=background))
    assert asked.value.args == (model, beam, 20.0)
