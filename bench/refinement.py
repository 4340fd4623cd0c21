"""What the refinement of texts gains, category by category, and what it costs.

Spoken forms of our own (`spoken_forms.tsv`) are written by the step for numbers. The Vietnamese texts of the shared
data lose their accents, marks, capitals or the digits of their numbers, each on its own and all but the accents
together, and get them back; and as they are they must stay what they are. `--peers` puts viet-itn and pyvi beside.
"""

import argparse
import json
import re
import statistics
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jiwer
import numpy as np
from rich.console import Console
from rich.table import Table

from bench import clips, report, spoken_numbers
from bench.peers import refiners
from bench.report import Figure
from mesh.home import Home
from mesh.models import accents
from servers.nlp import lexicon
from servers.nlp.draft import Step
from servers.nlp.refinement import DEFAULT_STEPS, Refiner, Request
from servers.nlp.syllables import bare

DEFAULT_FOLDER = clips.DEFAULT_FOLDER / "text"
SPOKEN_FORMS = Path(__file__).with_name("spoken_forms.tsv")
SPEED_WORDS = 20
FEWEST = 3
"""Words of a sentence, and texts with a mark, below which nothing is measured."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-ZĐÀ-Ỵ0-9])")
_WORD = re.compile(r"[^\W_]+")
_NEW_PLACE = re.compile(r"(?i)^([^aeiouyq]*)(o(?=.[ae]$)|u(?=.y$))([\u0300\u0301\u0303\u0309\u0323])([aey])$")
_ONSET = r"ngh|ng|nh|ch|gh|kh|ph|th|tr|[bcdđghklmnprstvx]"
_OLD_PLACE = re.compile(rf"(?i)^((?:{_ONSET})?)(o(?=[ae])|u(?=y))([aey])([\u0300\u0301\u0303\u0309\u0323])$")
"""A Vietnamese syllable (no "Chloé"), told apart without the rule that is measured."""
_MARKS = re.compile(r"(?<!\d)[,.!?;:…\"“”()]|[,.!?;:…\"“”()](?!\d)")

Texts = list[str]


@dataclass(frozen=True)
class Row:
    """One line of the table: a measure before and after; `better` says in which direction it is good."""

    category: str
    texts: str
    measure: str
    before: float
    after: float
    peer: float | None = None

    @property
    def key(self) -> str:
        """The name of its figures."""
        return re.sub(r"\W+", "_", f"{self.category} {self.texts} {self.measure}".lower()).strip("_")

    def figures(self) -> dict[str, Figure]:
        """As they are written to JSON."""
        found: dict[str, Figure] = {
            f"{self.key}_before": round(self.before, 4),
            f"{self.key}_after": round(self.after, 4),
        }
        return found if self.peer is None else found | {f"{self.key}_peer": round(self.peer, 4)}


def corpora(folder: Path) -> dict[str, Texts]:
    """The Vietnamese sentences by where they come from, as they are written, but for their letters being composed."""
    tatoeba = (folder / "tatoeba" / "dev.vie").read_text(encoding="utf-8").splitlines()
    sib = [
        line.split("\t")[2]
        for name in ("vie_dev", "vie_train")
        for line in _lines(folder / "sib200" / f"{name}.tsv")[1:]
    ]
    xquad = [json.loads(line)["text"] for line in _lines(folder / "xquad_retrieval" / "corpus.vi.jsonl")]
    questions = [json.loads(line)["text"] for line in _lines(folder / "xquad_retrieval" / "queries.vi.jsonl")]
    named = {"tatoeba": tatoeba, "sib200": sib, "xquad": xquad, "questions": questions}
    return {name: _sentences(texts) for name, texts in named.items()}


def english(folder: Path) -> Texts:
    """English sentences, which must never be taken for Vietnamese without accents."""
    sib = [line.split("\t")[2] for line in _lines(folder / "sib200" / "eng_train.tsv")[1:]]
    return [*_lines(folder / "tatoeba" / "dev.eng"), *sib]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _sentences(texts: Iterable[str]) -> Texts:
    """Sentences with an end, of three words or more."""
    found = (one.strip() for text in texts for one in _SENTENCE.split(_composed(text)))
    return [one for one in found if one[-1:] in (".", "?", "!") and len(one.split()) >= FEWEST]


def _composed(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


class Bench:
    """Refines with chosen steps and compares."""

    def __init__(self, refiner: Refiner) -> None:
        self._refiner = refiner

    def refined(self, texts: Iterable[str], *steps: Step, language: str = "vi") -> Texts:
        """Every text with only these steps, by default with the default ones."""
        wanted = frozenset(steps) or DEFAULT_STEPS
        return [self._refiner.refined(Request(text, language, wanted)).text for text in texts]

    def spoken_forms(self, peer: Callable[[Texts], Texts] | None) -> list[Row]:
        """The spoken forms of our own, by their category."""
        cases = [line.split("\t") for line in _lines(SPOKEN_FORMS)]
        others = (
            dict(zip((said for _, said, _ in cases), peer([said for _, said, _ in cases]), strict=True)) if peer else {}
        )
        rows: list[Row] = []
        for category in dict.fromkeys(category for category, _, _ in cases):
            said = [one for kind, one, _ in cases if kind == category]
            wanted = [one for kind, _, one in cases if kind == category]
            got = self.refined(said, Step.NUMBERS)
            theirs = [refiners.in_our_form(others[one]) for one in said] if others else None
            for measure, of in (("exact", exact), ("CER", cer)):
                rows.append(
                    Row(category, f"spoken forms ({len(said)})", measure, of(wanted, said), of(wanted, got),
                        of(wanted, theirs) if theirs else None)
                )  # fmt: skip
        return rows

    def numbers(self, name: str, texts: Texts, peer: Callable[[Texts], Texts] | None) -> list[Row]:
        """Texts with numbers, said and written again."""
        wanted = [text for text in texts if spoken_numbers.numbers(text)]
        said = [spoken_numbers.spoken(text) for text in wanted]
        theirs = cer(wanted, list(map(refiners.in_our_form, peer(said)))) if peer else None
        got = self.refined(said, Step.NUMBERS)
        return [Row("numbers", f"{name} ({len(wanted)})", "CER", cer(wanted, said), cer(wanted, got), theirs)]

    def diacritics(self, name: str, texts: Texts, peer: Callable[[Texts], Texts] | None) -> list[Row]:
        """Word accuracy and CER of texts that lost their accents."""
        plain = [bare(text) for text in texts]
        got = self.refined(plain, Step.DIACRITICS)
        theirs = [text.lower() for text in peer([text.lower() for text in plain])] if peer else None
        small = [text.lower() for text in texts]
        accuracy = word_accuracy(small, theirs) if theirs else None
        return [
            Row("diacritics", name, "words right", word_accuracy(texts, plain), word_accuracy(texts, got), accuracy),
            Row("diacritics", name, "CER", cer(texts, plain), cer(texts, got), cer(small, theirs) if theirs else None),
        ]

    def tone_placement(self, name: str, texts: Texts) -> list[Row]:
        """Words that have their mark at the old place."""
        old = [_WORD.sub(lambda match: old_place(match[0]), text) for text in texts]
        changed = [(text, was) for text, was in zip(texts, old, strict=True) if was != text]
        wanted, was = [text for text, _ in changed], [was for _, was in changed]
        got = self.refined(was, Step.TONE_PLACEMENT)
        return [
            Row(
                "tone placement",
                f"{name} ({len(was)})",
                "words right",
                word_accuracy(wanted, was),
                word_accuracy(wanted, got),
            )
        ]

    def punctuation(self, name: str, texts: Texts) -> list[Row]:
        """Texts without any mark."""
        wanted = [text for text in texts if not re.search(r"[\"“”()]", text)]
        plain = [" ".join(_MARKS.sub(" ", text).split()) for text in wanted]
        got = self.refined(plain, Step.PUNCTUATION)
        rows = [Row("punctuation", name, "CER", cer(wanted, plain), cer(wanted, got))]
        for mark, kind in ((".", "full stop F1"), ("?", "question mark F1"), (",", "comma F1")):
            if sum(mark in text for text in wanted) >= FEWEST:
                rows.append(Row("punctuation", name, kind, 0.0, marks_f1(wanted, got, mark)))
        return rows

    def capitals(self, name: str, texts: Texts) -> list[Row]:
        """Texts in small letters, with their marks."""
        small = [text.lower() for text in texts]
        got = self.refined(small, Step.CAPITALISATION)
        precision, recall = capitals(texts, got)
        return [
            Row("capitals", name, "CER", cer(texts, small), cer(texts, got)),
            Row("capitals", name, "precision", 0.0, precision),
            Row("capitals", name, "recall", 0.0, recall),
        ]

    def together(self, name: str, texts: Texts) -> list[Row]:
        """Texts as a recogniser without marks, capitals and digits writes them; all default steps."""
        raw = [" ".join(_MARKS.sub(" ", spoken_numbers.spoken(text)).split()).lower() for text in texts]
        return [Row("all default steps", name, "CER", cer(texts, raw), cer(texts, self.refined(raw)))]

    def untouched(self, name: str, texts: Texts) -> list[Row]:
        """Texts as they are written: what each step changes is counted as an error, unless a tone mark really stood at
        the old place and was moved to the modern one."""

        def kept(*steps: Step) -> Texts:
            return [moved_back(was, now) for was, now in zip(texts, self.refined(texts, *steps), strict=True)]

        rows = [
            Row("left alone", f"{name} {step.value}", "texts changed", 0.0, changed(texts, kept(step)))
            for step in DEFAULT_STEPS
        ]
        return [
            *sorted(rows, key=lambda row: row.texts),
            Row("left alone", name, "CER", 0.0, cer(texts, kept())),
        ]

    def speed(self, texts: Texts) -> dict[str, Figure]:
        """The processor's milliseconds for a sentence of 15 to 25 words; what others do meanwhile does not count."""
        near = [text for text in texts if abs(len(text.split()) - SPEED_WORDS) <= 5]
        raw = [" ".join(_MARKS.sub(" ", spoken_numbers.spoken(text)).split()).lower() for text in near]
        figures: dict[str, Figure] = {"speed_sentences": len(near)}
        for name, given in (("", raw), ("with_accents_", [bare(text) for text in raw])):
            took = [self._took_ms(text) for text in given]
            figures |= {
                f"refine_{name}p50_cpu_ms": round(statistics.median(took), 3),
                f"refine_{name}p95_cpu_ms": round(float(np.percentile(took, 95)), 3),
                f"refine_{name}sentences_per_cpu_second": round(1000 / statistics.mean(took), 1),
            }
        return figures

    def _took_ms(self, text: str) -> float:
        began = time.thread_time()
        self._refiner.refined(Request(text))
        return (time.thread_time() - began) * 1000


def exact(wanted: Sequence[str], got: Sequence[str]) -> float:
    """The share of texts that are as wanted."""
    return sum(one == other for one, other in zip(wanted, got, strict=True)) / len(wanted)


def changed(wanted: Sequence[str], got: Sequence[str]) -> float:
    """The share of texts that are not as they were."""
    return 1 - exact(wanted, got)


def cer(wanted: Sequence[str], got: Sequence[str]) -> float:
    """Characters to change over characters wanted; case, marks and accents count."""
    return float(jiwer.cer(list(wanted), list(got)))


def word_accuracy(wanted: Sequence[str], got: Sequence[str]) -> float:
    """The share of words that are right, where both texts have as many."""
    pairs = [pair for one, other in zip(wanted, got, strict=True) for pair in _pairs(one, other)]
    return sum(one == other for one, other in pairs) / len(pairs)


def _pairs(one: str, other: str) -> list[tuple[str, str]]:
    words, others = _WORD.findall(one), _WORD.findall(other)
    return list(zip(words, others, strict=True)) if len(words) == len(others) else [(word, "") for word in words]


def marks_f1(wanted: Sequence[str], got: Sequence[str], mark: str) -> float:
    """F1 of one mark behind the right word."""
    counts = Counter[str]()
    for one, other in zip(wanted, got, strict=True):
        right, found = _marked(one, mark), _marked(other, mark)
        counts.update(hit=len(right & found), right=len(right), found=len(found))
    return 2 * counts["hit"] / max(1, counts["right"] + counts["found"])


def _marked(text: str, mark: str) -> set[int]:
    """The numbers of the words that have the mark behind them."""
    return {place for place, word in enumerate(_WORD.finditer(text)) if text[word.end() : word.end() + 1] == mark}


def capitals(wanted: Sequence[str], got: Sequence[str]) -> tuple[float, float]:
    """Precision and recall of words with a capital."""
    counts = Counter[str]()
    for one, other in zip(wanted, got, strict=True):
        for word, written in _pairs(one, other):
            counts.update(
                hit=written == word != word.lower(), found=written != word.lower(), right=word != word.lower()
            )
    return counts["hit"] / max(1, counts["found"]), counts["hit"] / max(1, counts["right"])


def old_place(word: str) -> str:
    """The word with its tone mark at the old place: "hòa" becomes "hoà"."""
    letters = unicodedata.normalize("NFD", word)
    return unicodedata.normalize("NFC", _NEW_PLACE.sub(r"\1\2\4\3", letters))


def new_place(word: str) -> str:
    """The word with its tone mark at the modern place, where it is a syllable that has it at the old one."""
    letters = unicodedata.normalize("NFD", word)
    return unicodedata.normalize("NFC", _OLD_PLACE.sub(r"\1\2\4\3", letters))


def modern(text: str) -> str:
    """The text with every tone mark at the modern place."""
    return _WORD.sub(lambda match: new_place(match[0]), text)


def moved_back(was: str, now: str) -> str:
    """The refined text with the tone marks at the old place again, where they had stood there; all else as it is."""
    words = _WORD.findall(was)
    if len(words) != len(_WORD.findall(now)):
        return now
    before = iter(words)

    def back(match: re.Match[str]) -> str:
        word = next(before)
        return word if new_place(word) == match[0] else match[0]

    return _WORD.sub(back, now)


def rows(bench: Bench, folder: Path, more: Path | None, peers: refiners.Peers | None) -> list[Row]:
    """Every measure, `more` being a file of further sentences, one a line."""
    found = bench.spoken_forms(peers.numbers if peers else None)
    written = corpora(folder) | ({more.stem: _sentences(_lines(more))} if more else {})
    read = {name: list(map(modern, texts)) for name, texts in written.items()}
    for of in (bench.tone_placement, bench.punctuation, bench.capitals, bench.together):
        found += [row for name, texts in read.items() for row in of(name, texts)]
    found += [row for name, texts in written.items() for row in bench.untouched(name, texts)]
    for name, texts in read.items():
        found += bench.numbers(name, texts, peers.numbers if peers else None)
        found += bench.diacritics(name, texts, peers.accents if peers else None)
    foreign = english(folder)
    return [*found, Row("left alone", "English texts sent as Vietnamese", "texts changed", 0.0,
                        changed(foreign, bench.refined(foreign, Step.DIACRITICS)))]  # fmt: skip


def table(found: Sequence[Row]) -> Table:
    """The figures for people."""
    shown = Table("category", "texts", "measure", "before", "after", "peer", title=f"Refinement: {report.machine()}")
    for row in found:
        peer = "" if row.peer is None else f"{row.peer:.4f}"
        shown.add_row(row.category, row.texts, row.measure, f"{row.before:.4f}", f"{row.after:.4f}", peer)
    return shown


def main() -> int:
    """Run, print a table, write build/bench/refinement.json."""
    parser = argparse.ArgumentParser(prog="python -m bench.refinement", description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER, help="the texts (default: %(default)s)")
    parser.add_argument("--peers", action="store_true", help="beside viet-itn and pyvi (400 MB)")
    parser.add_argument("--sentences", type=Path, metavar="FILE", help="further sentences of your own, one a line")
    arguments = parser.parse_args()
    words = Home.from_env().models / accents.NAME
    for needed in (arguments.data, words):
        if not needed.is_dir():
            print(
                f"bench-refinement needs {needed}: `make models` assembles the words, --data names the texts",
                file=sys.stderr,
            )
            return 2
    bench = Bench(Refiner(lexicon.read(words)))
    peers = refiners.Peers.installed() if arguments.peers else None
    found = rows(bench, arguments.data, arguments.sentences, peers)
    figures = {key: value for row in found for key, value in row.figures().items()}
    figures |= bench.speed(corpora(arguments.data)["sib200"])
    Console().print(table(found))
    print({key: value for key, value in figures.items() if "refine_" in key})
    print(f"figures: {report.write('refinement', figures)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
