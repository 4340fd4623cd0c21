"""The tokenizer of multilingual-e5-small (XLM-R's sentencepiece unigram) in the form that `tokenizers` reads."""

from typing import Any

from mesh.models.e5_checkpoint import Checkpoint

_MARK = "▁"
# sentencepiece's nmt_nfkc: what it drops and what it takes for a space, beside NFKC itself.
_DROPPED = r"[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]"
_SPACES = r"[\t\n\x0c\r\x{1680}\x{200b}-\x{200f}\x{2028}\x{2029}▁\x{feff}\x{fffd}]"


def tokenizer_json(checkpoint: Checkpoint) -> dict[str, Any]:
    """The content of `tokenizer.json`: normaliser, unigram pieces, and `<s> ... </s>` around each text."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_special(index, checkpoint.pieces[index][0]) for index in _special_ids(checkpoint)],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Replace", "pattern": {"Regex": _DROPPED}, "content": ""},
                {"type": "Replace", "pattern": {"Regex": _SPACES}, "content": " "},
                {"type": "NFKC"},
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
            ],
        },
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "WhitespaceSplit"}, _metaspace()],
        },
        "post_processor": _surroundings(checkpoint),
        "decoder": _metaspace(),
        "model": {
            "type": "Unigram",
            "unk_id": checkpoint.unk,
            "vocab": [[piece, score] for piece, score in checkpoint.pieces],
            "byte_fallback": False,
        },
    }


def tokenizer_config(checkpoint: Checkpoint) -> dict[str, Any]:
    """The content of `tokenizer_config.json`: the generic fast tokenizer, which takes `tokenizer.json` as it is."""
    names = {"bos": "bos", "eos": "eos", "sep": "eos", "cls": "bos", "pad": "pad", "unk": "unk"}
    pieces = checkpoint.pieces
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": checkpoint.positions,
        "padding_side": "right",
        "truncation_side": "right",
        "model_input_names": ["input_ids", "attention_mask"],
        "mask_token": pieces[-1][0],
        **{f"{role}_token": pieces[getattr(checkpoint, attribute)][0] for role, attribute in names.items()},
    }


def _special_ids(checkpoint: Checkpoint) -> list[int]:
    mask = len(checkpoint.pieces) - 1
    return sorted({checkpoint.bos, checkpoint.eos, checkpoint.pad, checkpoint.unk, mask})


def _special(index: int, content: str) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": content == "<mask>", "rstrip": False, "normalized": False}
    return {"id": index, "content": content, **flags, "special": True}


def _metaspace() -> dict[str, Any]:
    return {"type": "Metaspace", "replacement": _MARK, "prepend_scheme": "always", "split": True}


def _surroundings(checkpoint: Checkpoint) -> dict[str, Any]:
    begin, end = (checkpoint.pieces[index][0] for index in (checkpoint.bos, checkpoint.eos))
    first = [
        {"SpecialToken": {"id": begin, "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": end, "type_id": 0}},
    ]
    second = [
        {"SpecialToken": {"id": end, "type_id": 0}},
        {"Sequence": {"id": "B", "type_id": 0}},
        {"SpecialToken": {"id": end, "type_id": 0}},
    ]
    ids = ((begin, checkpoint.bos), (end, checkpoint.eos))
    special = {token: {"id": token, "ids": [index], "tokens": [token]} for token, index in ids}
    return {"type": "TemplateProcessing", "single": first, "pair": first + second, "special_tokens": special}
