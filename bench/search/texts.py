"""The shared texts as what a search index holds and what it is asked: sentences in Vietnamese and English.

The vectors of a search benchmark are drawn around those of these passages; the questions never are among them.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from bench import clips

DEFAULT_FOLDER = clips.DEFAULT_FOLDER / "text"
HELD_OUT = 10
"""Every so-many-th passage is kept for questions instead."""

_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")
_LEAST_CHARACTERS = 8


@dataclass(frozen=True)
class Texts:
    """Different texts, each once, in an order that is always the same."""

    passages: tuple[str, ...]
    questions: tuple[str, ...]
    """Every second one is a question about some passage, the others are passages held out."""


def load(folder: Path = DEFAULT_FOLDER) -> Texts:
    """The texts of XQuAD, Tatoeba and SIB-200; FileNotFoundError when the folder does not hold them."""
    everything = list(dict.fromkeys(text.strip() for text in _passages(folder)))
    fit = [text for text in everything if len(text) >= _LEAST_CHARACTERS]
    held_out = fit[::HELD_OUT]
    kept = tuple(text for place, text in enumerate(fit) if place % HELD_OUT)
    asked = [
        question for pair in zip(_questions(folder, "vi"), _questions(folder, "en"), strict=True) for question in pair
    ]
    stride = max(1, len(asked) // len(held_out))
    paired = zip(asked[::stride], held_out, strict=False)
    return Texts(kept, tuple(text for pair in paired for text in pair))


def sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph, which are nearer to what people say at a time."""
    return _SENTENCE_END.split(paragraph.strip())


def _passages(folder: Path) -> list[str]:
    found: list[str] = []
    for language in ("vi", "en"):
        for line in _lines(folder / "xquad_retrieval" / f"corpus.{language}.jsonl"):
            found += sentences(json.loads(line)["text"])
    for language in ("vie", "eng"):
        found += _lines(folder / "tatoeba" / f"dev.{language}")
        for part in ("train", "dev"):
            found += [line.split("\t")[2] for line in _lines(folder / "sib200" / f"{language}_{part}.tsv")[1:]]
    return found


def _questions(folder: Path, language: str) -> list[str]:
    lines = _lines(folder / "xquad_retrieval" / f"queries.{language}.jsonl")
    return [json.loads(line)["text"] for line in lines]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
