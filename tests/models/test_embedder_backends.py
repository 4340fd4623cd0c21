"""What runs the embedder elsewhere gives what its compiled loops give, in Triton's environment."""

import json
import subprocess
from typing import Any

import numpy as np
import pytest

import compiled_encoder
from mesh import model_repository
from mesh.home import Home
from mesh.triton import Installation

pytestmark = pytest.mark.timeout(300)

TEXTS = ["query: trời mưa ở Huế", "passage: " + "Hôm nay trời đẹp. " * 30, "passage: it rains", "query: rain?"] * 3
PAIRS = [("query: mưa", "passage: it rains"), ("query: mưa", "query: mưa"), ("query: rain?", "passage: trời nắng")]
SCRIPT = """
import json, sys
model, texts, pairs, *roots = map(json.loads, sys.argv[1:])
sys.path[:0] = roots
import encoder
made = encoder.load(model, "cpu")
vectors = [made.vectors(texts, patient).tolist() for patient in (False, True)]
print(json.dumps({"vectors": vectors, "closeness": made.closeness([*map(tuple, pairs)]).tolist()}))
"""


def made_by(backend: str) -> dict[str, Any]:
    installation, source = Installation.from_env(), model_repository.SOURCE
    roots = [str(source / "compiled"), str(source / "embedder" / "1")]
    given = [str(Home.from_env().models / "multilingual-e5-small"), TEXTS, PAIRS, *roots]
    command = [str(installation.venv / "bin" / "python"), "-c", SCRIPT, *map(json.dumps, given)]
    environment = {"AI2TEXT_EMBEDDER_BACKEND": backend, "AI2TEXT_EMBEDDER_THREADS": "2", "HF_HUB_OFFLINE": "1"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    made: dict[str, Any] = json.loads(ran.stdout)
    return made


def test_pytorch_and_the_loops_agree() -> None:
    if not (Home.from_env().models / "multilingual-e5-small").is_dir():
        pytest.skip("this test needs the models: `make models`")
    if not compiled_encoder.supported():
        pytest.skip("this processor has no AVX2")
    loops, torch = made_by("compiled"), made_by("torch")
    for wanted, found in zip(torch["vectors"], loops["vectors"], strict=True):
        assert np.sum(np.array(wanted) * np.array(found), axis=1).min() > 0.9995
    np.testing.assert_allclose(loops["closeness"], torch["closeness"], atol=0.005)
    assert torch["closeness"][1] == pytest.approx(1, abs=1e-5)
    assert torch["closeness"][0] > torch["closeness"][2]
