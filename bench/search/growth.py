"""How searches slow down as the index grows: a plot of what `bench.search` measured at each size.

Reads build/bench/search*.json: sizes that were not measured on this machine are not in it. `make bench-search-growth`
measures 100,000 and a million first.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import report
from bench.plot import Line, drawn
from bench.report import Figure

LIMIT_MS = 10.0
LINES = {
    "through the edge": "p95_ms",
    "a recording of 1 %": "p95_ms_filter_1pct",
    "a recording of .01 %": "p95_ms_filter_001pct",
    "index alone": "index_p95_ms",
}
"""The figure of each line."""


def measured() -> list[dict[str, Figure]]:
    """The figures of every size there are, the smallest first."""
    names = [path.stem for pattern in ("search.json", "search-*.json") for path in report.FOLDER.glob(pattern)]
    found = [figures for name in names if "vectors" in (figures := report.read(name))]
    return sorted(found, key=lambda figures: float(figures["vectors"]))


def lines(sizes: Sequence[dict[str, Figure]]) -> list[Line]:
    """One for each way of asking, over the sizes at which it was measured; hollow where questions were refused."""
    return [
        Line(
            name,
            [(float(one["vectors"]), float(one[key])) for one in sizes if key in one],
            frozenset(float(one["vectors"]) for one in sizes if _refused(one, key)),
        )
        for name, key in LINES.items()
    ]


def _refused(figures: dict[str, Figure], key: str) -> bool:
    return bool(figures.get(key.replace("p95_ms", "failed"), 0)) and not key.startswith("index")


def main() -> int:
    """Draw; 2 when nothing was measured yet."""
    parser = argparse.ArgumentParser(prog="python -m bench.search.growth", description=__doc__)
    parser.add_argument("--plot", type=Path, default=Path("docs/search_growth.svg"), help="(default: %(default)s)")
    arguments = parser.parse_args()
    sizes = measured()
    if not sizes:
        print("nothing is measured yet: run `python -m bench.search --vectors 100000` first", file=sys.stderr)
        return 2
    title = "Search at 50 questions a second: p95 against the number of vectors"
    plot = drawn(title, "vectors", "milliseconds", lines(sizes), (LIMIT_MS, f"{LIMIT_MS:.0f} ms"))
    arguments.plot.write_text(plot, encoding="utf-8")
    shown = ", ".join(f"{int(figures['vectors']):,}" for figures in sizes)
    print(f"{arguments.plot}: {shown} vectors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
