"""What the relevance of search is measured on: collections of passages, and questions whose right answer is known.

XQuAD's paragraphs in Vietnamese and in English with its questions in both, and Tatoeba's sentences, of which each asks
for its translation among all those of the other language.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.search import texts
from servers.search.words import fold

XQUAD, TATOEBA = "xquad_retrieval", "tatoeba"
TATOEBA_NAMES = {"vi": "vie", "en": "eng"}

RUN = uuid.uuid4()
"""Everything that this run stores has a name of its own."""

LEAST_CHARACTERS = 8
"""Shorter sentences of a paragraph are pieces of one, such as an initial."""

_NO_QUOTES = str.maketrans('"“”', "   ")


@dataclass(frozen=True)
class Passage:
    """What becomes a segment: a paragraph, or a sentence of one, or a sentence by itself."""

    name: str
    """Its own among all collections."""

    paragraph: str
    """What the questions are about: the paragraph that it is or belongs to, or the sentence."""

    text: str

    @property
    def segment_id(self) -> str:
        """The segment that stands for it."""
        return str(uuid.uuid5(RUN, self.name))


@dataclass(frozen=True)
class Question:
    """A text, and the segments that answer it."""

    text: str
    right: frozenset[str]


@dataclass(frozen=True)
class Collection:
    """Passages in one language that are searched together, and the questions on them by the way they are asked."""

    name: str
    language: str
    """ISO 639."""

    passages: Sequence[Passage]
    ways: Mapping[str, Sequence[Question]]


def missing(folder: Path) -> list[Path]:
    """The folders of data that are not in `folder`."""
    return [folder / name for name in (XQUAD, TATOEBA) if not (folder / name).is_dir()]


def collections(folder: Path) -> list[Collection]:
    """All but the sentences of the paragraphs; FileNotFoundError when `folder` does not hold the data."""
    return [
        in_vietnamese("paragraphs", folder, paragraphs(folder, "vi")),
        in_english(folder),
        translations(folder, "en", "vi"),
        translations(folder, "vi", "en"),
    ]


def sentences(folder: Path) -> Collection:
    """The Vietnamese paragraphs in sentences, which are nearer to what people say at a time."""
    passages = [
        Passage(f"{whole.name}#{number}", whole.paragraph, text)
        for whole in paragraphs(folder, "vi")
        for number, text in enumerate(texts.sentences(whole.text))
        if len(text) >= LEAST_CHARACTERS
    ]
    return in_vietnamese("sentences", folder, passages)


def in_vietnamese(name: str, folder: Path, passages: Sequence[Passage]) -> Collection:
    """Vietnamese passages of XQuAD, asked in Vietnamese, in Vietnamese without accents, and in English."""
    asked = questions(folder, "vi", passages)
    plain = [Question(fold(question.text), question.right) for question in asked]
    ways = {"vi_vi": asked, "vi_unaccented": plain, "en_vi": questions(folder, "en", passages)}
    return Collection(name, "vi", passages, ways)


def in_english(folder: Path) -> Collection:
    """The English paragraphs of XQuAD, asked in Vietnamese."""
    passages = paragraphs(folder, "en")
    return Collection("english_paragraphs", "en", passages, {"vi_en": questions(folder, "vi", passages)})


def translations(folder: Path, asked_in: str, language: str) -> Collection:
    """Tatoeba's sentences in one language, each asked for by its translation.

    A sentence on several lines is right on each of them, and has each of its translations.
    """
    found = _lines(folder / TATOEBA / f"dev.{TATOEBA_NAMES[language]}")
    passages = [Passage(f"{TATOEBA} {language} {number}", text, text) for number, text in enumerate(found)]
    named = _segments(passages)
    right: dict[str, set[str]] = {}
    asked = _lines(folder / TATOEBA / f"dev.{TATOEBA_NAMES[asked_in]}")
    for text, translation in zip(asked, found, strict=True):
        right.setdefault(text, set()).update(named[translation])
    made = [Question(unquoted(text), frozenset(right[text])) for text in asked]
    return Collection(f"{TATOEBA}_{language}", language, passages, {f"tatoeba_{asked_in}_{language}": made})


def paragraphs(folder: Path, language: str) -> list[Passage]:
    """All of XQuAD's in one language."""
    found = _objects(folder / XQUAD / f"corpus.{language}.jsonl")
    return [Passage(f"{language} {one['id']}", one["id"], one["text"]) for one in found]


def questions(folder: Path, asked_in: str, passages: Sequence[Passage]) -> list[Question]:
    """XQuAD's in one language, on passages in any: they are about the same paragraphs; each part of one is right."""
    named = _segments(passages)
    right: dict[str, set[str]] = {}
    for line in _lines(folder / XQUAD / f"qrels.{asked_in}.tsv"):
        question, paragraph, _ = line.split("\t")
        right.setdefault(question, set()).update(named[paragraph])
    asked = _objects(folder / XQUAD / f"queries.{asked_in}.jsonl")
    return [Question(unquoted(one["text"]), frozenset(right[one["id"]])) for one in asked]


def unquoted(text: str) -> str:
    """Quotes in a question are those of its author, who did not know that they ask for a phrase."""
    return text.translate(_NO_QUOTES)


def _segments(passages: Sequence[Passage]) -> dict[str, set[str]]:
    """By the paragraph."""
    named: dict[str, set[str]] = {}
    for passage in passages:
        named.setdefault(passage.paragraph, set()).add(passage.segment_id)
    return named


def _objects(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in _lines(path)]


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
