"""The mesh's embedder on texts of a file, in Triton's environment: `bench.search.vectors` keeps what it makes.

Reads JSON strings, one a line; writes a NumPy file of 32-bit vectors of length 1 in their order, whole or not at all.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path

import numpy as np

MODELS = Path(__file__).resolve().parent.parent.parent / "triton_models"


def main() -> int:
    """Encode; the model's own modules and those that it shares have roots of their own, as inside Triton."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kind", choices=["query", "passage"], required=True)
    arguments = parser.parse_args()
    sys.path[:0] = [str(MODELS / "compiled"), str(MODELS / "embedder" / "1")]
    encoder = importlib.import_module("encoder").load(str(arguments.model), "cpu")
    dressed = importlib.import_module("prompts").dressed
    texts = [json.loads(line) for line in arguments.texts.read_text(encoding="utf-8").splitlines()]
    vectors = encoder.vectors([dressed(text, arguments.kind, encoder.prompts) for text in texts])
    draft = arguments.out.with_suffix(".new")
    with draft.open("wb") as file:
        np.save(file, np.asarray(vectors, np.float32))
    draft.replace(arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
