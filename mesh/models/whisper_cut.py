"""A Whisper with its vocabulary cut to one language.

Whisper writes in a hundred languages, and with each token that it decodes it weighs every token that any of them
needs: half of base's decoder is that one matrix. A cut model has the rows of the tokens that its language needs and is
the same otherwise. It is a faster-whisper folder like any other, with a tokenizer of its own.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mesh.models import ctranslate2_weights, word_lists
from mesh.models.ctranslate2_weights import Weights
from mesh.models.wheels import ModelError
from mesh.models.whisper_tokens import Vocabulary, whole

VIETNAMESE, ENGLISH = "vi", "en"
FEWEST_MULTILINGUAL = 51_865
SHARES = {
    VIETNAMESE: {word_lists.VIETNAMESE: 0.9995, word_lists.ENGLISH: 0.85},  # Vietnamese speakers use English words
    ENGLISH: {word_lists.ENGLISH: 0.995},
}
"""For each language how much of the use of tokens is kept; what remains is written with smaller tokens."""


def languages(model: Path) -> list[str]:
    """The languages that a model can be cut to. Raises ModelError when the folder holds no faster-whisper model."""
    try:
        return [ENGLISH] if len(_names(model)) < FEWEST_MULTILINGUAL else list(SHARES)
    except FileNotFoundError:
        raise ModelError(f"{model} is no folder of a faster-whisper model: it has no vocabulary") from None


def name(model: str, language: str) -> str:
    """The folder of the model that is cut from `model`."""
    return f"{model}-cut-{language}"


def recipe(model: str, language: str) -> str:
    """What a cut is made of; `model` names the weights that it is cut from."""
    return f"cut 1 for {language} from {model.strip()} with {word_lists.WHEEL}: {SHARES[language]}\n"


def fill(model: Path, language: str, folder: Path, cache: Path) -> None:
    """Writes the cut of the faster-whisper model in `model` into `folder`.

    Raises ModelError when the list of words cannot be had or when the model is of another form.
    """
    vocabulary = Vocabulary(whole(json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))))
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    kept = kept_tokens(vocabulary, config, language, word_lists.WHEEL.fetch(cache))
    weights = ctranslate2_weights.read(model / "model.bin")
    ctranslate2_weights.write(reduced_weights(weights, kept), folder / "model.bin")
    _write_json(folder / "tokenizer.json", vocabulary.reduced(kept))
    _write_json(folder / "config.json", reduced_config(config, kept))
    names = _names(model)
    _write_json(folder / "vocabulary.json", [names[token] for token in kept])
    if (model / "preprocessor_config.json").exists():
        shutil.copy(model / "preprocessor_config.json", folder)


def kept_tokens(vocabulary: Vocabulary, config: dict[str, Any], language: str, wheel: Path) -> list[int]:
    """The ids of the tokens that stay, in order, with the decoder's controls behind the text's."""
    specials = vocabulary.specials(language)
    text = vocabulary.basics() | {token for token in config["suppress_ids"] if token < specials[0]}
    for words, share in SHARES[language].items():
        text |= vocabulary.common(word_lists.read(wheel, words), share)
    return [*sorted(vocabulary.closed(text)), *specials]


def reduced_weights(weights: Weights, kept: Sequence[int]) -> Weights:
    """The weights with the kept tokens' rows of every variable that has a row for each token."""
    size = next((each.shape[0] for each in weights.variables if each.name == "decoder/embeddings/weight"), 0)
    if size <= max(kept):
        raise ModelError(f"the model has {size} tokens, fewer than its tokenizer: is it a Whisper?")
    return replace(
        weights,
        variables=[each.rows(kept) if each.shape[:1] == (size,) else each for each in weights.variables],
    )


def reduced_config(config: dict[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """The configuration with the kept tokens' new ids."""
    places = {token: place for place, token in enumerate(kept)}
    lists = {name: config[name] for name in ("suppress_ids", "suppress_ids_begin", "lang_ids") if name in config}
    return config | {name: [places[token] for token in ids if token in places] for name, ids in lists.items()}


def _names(model: Path) -> list[str]:
    """The tokens' names, which CTranslate2 reads from one of two files."""
    if (listed := model / "vocabulary.json").exists():
        return list(json.loads(listed.read_text(encoding="utf-8")))
    return (model / "vocabulary.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
