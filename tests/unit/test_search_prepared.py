"""That nothing is left to be compiled when a server serves."""

import subprocess
import sys

SCRIPT = """
import tempfile
from pathlib import Path
import numpy as np
from servers.search import distances, heaps, inverted, inverting, lists, postings, row_table, scoring, term_keys
from servers.search.indexing import Changes, Filter, Rows
from servers.search.query import parsed
from servers.search.rebuilding import Shape
from servers.search.segments import Segment
from servers.search.word_index import WordChanges, WordRow

def made():
    modules = distances, heaps, inverting, postings, row_table, scoring, term_keys
    loops = {f"{module.__name__}.{name}": loop for module in modules for name, loop in vars(module).items()}
    return {name: len(loop.signatures) for name, loop in loops.items() if hasattr(loop, "signatures")}

inverted.prepare()
lists.prepare()
before = made()
folder = Path(tempfile.mkdtemp())
inverted.SAVED = 1
words = inverted.InvertedIndex(folder / "words", "one")
for n in range(5):
    words.apply(WordChanges(n + 1, (n - 2,), tuple(WordRow(i, f"mot hai ba w{i}", i % 3, 1) for i in range(n, n + 4))))
    words.commit()
words = inverted.InvertedIndex(folder / "words", "one")
for query in ("mot hai", "khong co", "mo*", '"mot hai ba"', '"ba"'):
    for narrowed in (Filter(), Filter((1,)), Filter((1, 2), 1), Filter(language=1)):
        words.matching(parsed(query), narrowed, 3)
for shape in (Shape(), Shape(most_loose=1, probes=2, least_rows=1, rescored=1)):
    rows = np.arange(64)
    index = lists.ListIndex(64, shape)
    index.apply(Changes(1, rows[:0], Rows(rows, np.eye(64, dtype=np.float16), rows % 2, np.ones(64, np.uint16))))
    frozen = index.freeze()
    frozen.write(folder / "lists", lambda: False)
    index.install(frozen, Segment(folder / "lists"))
    index.apply(Changes(2, rows[3:9], Rows(rows[:0], np.eye(0, 64, dtype=np.float16), rows[:0], np.ones(0, np.uint16))))
    for narrowed in (Filter(), Filter((1,)), Filter((0, 1), 1), Filter(language=1)):
        index.nearest(np.ones(64, np.float32), narrowed, 4)
print(len(before), {name: count for name, count in made().items() if count != before[name]})
"""


def test_what_a_server_prepares_is_all_that_searches_and_changes_need() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    count, compiled_later = ran.stdout.split(maxsplit=1)
    assert (int(count) > 10, compiled_later) == (True, "{}\n")
