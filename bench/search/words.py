"""The index of words by itself, without vectors, service or edge: how fast it is built and asked, and what it takes.

The sentences are `bench.search.sentences`'; what is asked are pieces of others of them, so that frequent words are as
frequent as when people ask. `make bench-words` asks a million sentences, and beside them tantivy and FTS5, which had
this place before, and Postgres' full text; see docs/adr/0022-words-in-lists-of-our-own.md.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import report
from bench.peers import word_indexes
from bench.peers.word_indexes import Ask, Row
from bench.search import texts as corpus
from bench.search.sentences import BLOCK, SEED, Sentences
from bench.spread import Spread
from servers.search.documents import Scope
from servers.search.indexing import language_number, recording_number
from servers.search.query import parsed
from servers.search.terms import Terms
from servers.search.word_index import WordChanges, WordRow
from servers.search.words import fold

TENANT = "bench-words"
A_RECORDING = 100
SCATTERED = "scattered"
"""A recording that has every hundredth sentence: what it holds lies far apart."""

RARE_LANGUAGE, LANGUAGE = "en", "vi"
"""One sentence in twenty is in the rare one."""

LIMIT = 100
PEERS = ("tantivy", "fts5", "postgres")
CPU = "ours, CPU"
SLOW_MS = 200.0
PATIENCE = 20
"""Of a peer that takes longer than SLOW_MS in the middle only so many questions are asked."""


@dataclass(frozen=True)
class Kind:
    """Some questions that are alike, and where they are asked."""

    name: str
    texts: tuple[str, ...]
    scope: Scope


@dataclass(frozen=True)
class Built:
    """One index, and what it took to build it."""

    name: str
    sentences: int
    rate: float
    """Sentences a second."""

    bytes: float
    """For each sentence, on disk."""


class SentenceJournal:
    """What the store is for the index: sentences, numbered from 1."""

    index_id = "bench"

    def __init__(self, sentences: Sentences, count: int) -> None:
        self._count = count
        self._rows = rows(sentences, count)
        self._last = 0

    def last_written(self) -> int:
        return self._count

    def written_after(self, tenant: str, seq: int, limit: int) -> WordChanges:
        """They are read once and in order."""
        if seq == self._last == self._count or limit == 1:
            return WordChanges(min(self._count, seq + 1), (), ())
        assert seq == self._last
        there = tuple(
            WordRow(number, text, recording_number(recording), language_number(language))
            for number, text, recording, language in islice(self._rows, limit)
        )
        self._last = there[-1].id
        return WordChanges(self._last, (), there)


def rows(sentences: Sentences, count: int) -> Iterator[Row]:
    """The sentences, numbered from 1, with a recording and a language each."""
    for first, block in sentences.blocks(count):
        for number, text in enumerate(block, first + 1):
            recording = SCATTERED if number % 100 == 7 else f"recording {number // A_RECORDING}"
            yield number, text, recording, RARE_LANGUAGE if number % 20 == 3 else LANGUAGE


def kinds(sentences: Sentences, count: int, questions: int) -> list[Kind]:
    """Pieces of 1 to 8 words of sentences that are not in the index, and frequent words by themselves."""
    draw = random.Random(SEED)
    others = sentences.block(1 + 10_000_000 // BLOCK)
    spelt = []
    for number in range(questions):
        cut = others[number].split()
        length = min(1 + number % 8, len(cut))
        start = draw.randrange(len(cut) - length + 1)
        spelt.append(" ".join(cut[start : start + length]))
    folded = tuple(map(fold, spelt))
    frequent = [" ".join(draw.sample(["và", "không", "của", "là", "có", "một", "được", "người"], 3)) for _ in spelt]
    few = questions // 4
    everywhere = Scope(TENANT)
    one = f"recording {count // A_RECORDING // 2}"
    return [
        Kind("accented", tuple(spelt), everywhere),
        Kind("folded", folded, everywhere),
        Kind("frequent words only", tuple(frequent[:few]), everywhere),
        Kind("sentences", tuple(others[questions : questions + few]), everywhere),
        Kind("phrases", tuple(f'"{text}"' for text in spelt[:few]), everywhere),
        Kind("prefixes", tuple(f"{text[:-1]}*" for text in spelt[:few] if len(text.split()[-1]) > 3), everywhere),
        Kind("one recording", tuple(spelt[:few]), Scope(TENANT, (one,))),
        Kind("a scattered 1 %", tuple(spelt[:few]), Scope(TENANT, (SCATTERED,))),
        Kind("95 % by language", tuple(spelt[:few]), Scope(TENANT, (), LANGUAGE)),
        Kind("5 % by language", tuple(spelt[:few]), Scope(TENANT, (), RARE_LANGUAGE)),
    ]


def widths(kind: Kind) -> list[Kind]:
    """Those of each number of words by themselves."""
    by_width = {width: tuple(text for text in kind.texts if len(text.split()) == width) for width in range(1, 9)}
    return [Kind(f"{kind.name}, {width} words", texts, kind.scope) for width, texts in by_width.items()]


@contextmanager
def ours(folder: Path, sentences: Sentences, count: int) -> Iterator[Ask]:
    """The index as the search server has it."""
    terms = Terms(folder / "words", SentenceJournal(sentences, count))
    while not terms.follow(TENANT):
        terms.merge_due()
    terms.merge_due()
    yield lambda text, scope, limit: terms.matching(scope, parsed(text), limit)


def opened(name: str, folder: Path, sentences: Sentences, count: int) -> AbstractContextManager[Ask]:
    """One of the indexes, built."""
    if name == "ours":
        return ours(folder, sentences, count)
    peers = {"tantivy": word_indexes.tantivy, "fts5": word_indexes.fts5, "postgres": word_indexes.postgres}
    return peers[name](folder, rows(sentences, count))


def asked(ask: Ask, texts: Sequence[str], scope: Scope, clock: Callable[[], float] = time.perf_counter) -> Spread:
    """Milliseconds, of the second time, when what they need is in memory; of who is slow, of the first."""
    for patience in (PATIENCE, len(texts), len(texts)):
        took = []
        for text in texts[:patience]:
            began = clock()
            ask(text, scope, LIMIT)
            took.append((clock() - began) * 1000)
        spread = Spread.of(took)
        if patience == PATIENCE and spread.p50 > SLOW_MS:
            return spread
    return spread


def memory_mib() -> float:
    """What the process holds that is in no file."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    return 0.0


def run(names: Sequence[str], count: int, questions: int) -> tuple[list[Built], dict[str, dict[str, Spread]], float]:
    """Every index built and asked; the spreads by index and kind, and the memory of ours."""
    sentences = Sentences(corpus.load().passages)
    wanted = kinds(sentences, count, questions)
    built, spreads, memory = [], dict[str, dict[str, Spread]](), 0.0
    for name in names:
        with tempfile.TemporaryDirectory(dir=report.FOLDER) as place:
            folder, began, before = Path(place), time.perf_counter(), memory_mib()
            with opened(name, folder, sentences, count) as ask:
                rate = count / (time.perf_counter() - began)
                size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
                built.append(Built(name, count, rate, size / count))
                spreads[name] = {}
                for kind in wanted:
                    if name == "ours" or kind.name not in ("phrases", "prefixes"):
                        spreads[name][kind.name] = asked(ask, kind.texts, kind.scope)
                if name == "ours":
                    memory = memory_mib() - before
                    # On a machine that does other things, too, this tells what the searches themselves take.
                    own = (*wanted, *widths(wanted[0]))
                    spreads[CPU] = {one.name: asked(ask, one.texts, one.scope, time.thread_time) for one in own}
    return built, spreads, memory


def table(built: Sequence[Built], spreads: dict[str, dict[str, Spread]]) -> Table:
    """The figures for people."""
    shown = Table(
        "milliseconds, p50 / p95 / p99", *spreads, title=f"{built[0].sentences:,} sentences: {report.machine()}"
    )
    for kind in spreads.get(CPU, spreads["ours"]):
        row = (spreads[name].get(kind) for name in spreads)
        shown.add_row(kind, *(f"{one.p50:.1f} / {one.p95:.1f} / {one.p99:.1f}" if one else "" for one in row))
    of = {one.name: one for one in built}
    shown.add_row("sentences a second, built", *(f"{of[name].rate:,.0f}" if name in of else "" for name in spreads))
    shown.add_row("bytes a sentence", *(f"{of[name].bytes:.0f}" if name in of else "" for name in spreads))
    return shown


def figures(
    built: Sequence[Built], spreads: dict[str, dict[str, Spread]], memory: float
) -> dict[str, float | int | str]:
    """The figures for machines."""
    found: dict[str, float | int | str] = {"machine": report.machine(), "sentences": built[0].sentences}
    found["memory_mib"] = round(memory)
    for one in built:
        prefix = "" if one.name == "ours" else f"peer_{one.name}_"
        found[f"{prefix}built_per_s"] = round(one.rate)
        found[f"{prefix}bytes_per_sentence"] = round(one.bytes)
    for name, kinds_of in spreads.items():
        prefix = {"ours": "", CPU: "cpu_"}.get(name, f"peer_{name}_")
        for kind, spread in kinds_of.items():
            key = "".join(letter if letter.isalnum() else "_" for letter in kind.replace("%", "pct")).replace("__", "_")
            for percent, value in (("p50", spread.p50), ("p95", spread.p95), ("p99", spread.p99)):
                found[f"{prefix}{percent}_ms_{key}"] = round(value, 2)
    return found


def main() -> int:
    """Build, ask, print a table, write build/bench/words.json."""
    parser = argparse.ArgumentParser(prog="python -m bench.search.words", description=__doc__)
    parser.add_argument("--sentences", type=int, default=1_000_000)
    parser.add_argument("--questions", type=int, default=400, help="of each large kind (default: %(default)s)")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=[])
    parser.add_argument("--name", default="words", help="of the file of figures (default: %(default)s)")
    arguments = parser.parse_args()
    report.FOLDER.mkdir(parents=True, exist_ok=True)
    built, spreads, memory = run(["ours", *arguments.peers], arguments.sentences, arguments.questions)
    Console().print(table(built, spreads))
    print(f"memory that is in no file: {memory:.0f} MiB")
    print(f"figures: {report.write(arguments.name, figures(built, spreads, memory))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
