"""Why an answer is what it is, as people read it, and as JSON writes it."""

from typing import Any

from ai2text.search.v1 import explanation_pb2
from rich.table import Table
from rich.text import Text

from clients.cli.hits import Answer
from clients.cli.times import full

STAGES = {
    "filter": "what the filter leaves",
    "embed": "vector of the query",
    "words": "ranking by words",
    "vectors": "ranking by meaning",
    "documents": "reading the candidates",
    "rerank": "comparing the first hits",
    "snippets": "fusing, and snippets",
    "total": "in all",
}


def hits_table(answer: Answer) -> Table:
    """For each hit what its score is made of, and which words it has: those with other accents in brackets."""
    shown = _table()
    compared = any(hit.explanation.HasField("closeness") for hit in answer.hits)
    for name in ("", "time", "score", "by meaning", "by words", *(["closeness"] if compared else ())):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("words of the query", overflow="fold")
    for number, hit in enumerate(answer.hits, 1):
        why = hit.explanation
        words = [*why.exact_words, *(f"({word})" for word in why.folded_words)]
        shown.add_row(
            str(number),
            full(hit.start_ms),
            f"{hit.score:.4f}",
            share(why.semantic_share, hit.semantic_rank),
            share(why.lexical_share, hit.lexical_rank),
            *([f"{why.closeness:.3f}" if why.HasField("closeness") else "-"] if compared else ()),
            Text(" ".join(words) or "-"),
        )
    return shown


def share(part: float, rank: int) -> str:
    """What a ranking gives to a score: `0.0164 (1st)`, or `-` without a rank."""
    return f"{part:.4f} ({ordinal(rank)})" if rank else "-"


def ordinal(number: int) -> str:
    """`1st`, `2nd`, `3rd`, `4th`, `11th`."""
    teens = 10 <= number % 100 <= 20
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def facts(why: explanation_pb2.SearchExplanation) -> list[str]:
    """What was done for the answer, a sentence each."""
    sentences = [
        f"Meaning counted {why.semantic_weight:.2f} and words {why.lexical_weight:.2f}: the best match by words has "
        f"{why.word_coverage:.0%} of the query's words.",
        f"Candidates: {why.semantic_candidates} by meaning, {why.lexical_candidates} by words.",
        f"{_count(why.vectors_compared, 'vector')} compared, {_count(why.lists_searched, 'list')} looked through.",
    ]
    if why.HasField("recordings_left"):
        sentences.append(f"The filter left {_count(why.recordings_left, 'recording')}.")
    if why.hurried:
        sentences.append("Many searches were under way: fewer of the frequent words were looked up than usual.")
    if why.cached:
        sentences.append("Without --explain this would have come from the cache of hot queries.")
    return sentences


def timings_table(timings: explanation_pb2.SearchTimings) -> Table:
    """How long each stage took in the server."""
    shown = _table()
    shown.add_column("stage", no_wrap=True)
    shown.add_column("ms", justify="right", no_wrap=True)
    for stage, name in STAGES.items():
        shown.add_row(name, f"{getattr(timings, f'{stage}_us') / 1000:.2f}")
    return shown


def record(why: explanation_pb2.SearchExplanation) -> dict[str, Any]:
    """The same as JSON writes it."""
    return {
        "semantic_weight": round(why.semantic_weight, 6),
        "lexical_weight": round(why.lexical_weight, 6),
        "word_coverage": round(why.word_coverage, 6),
        "semantic_candidates": why.semantic_candidates,
        "lexical_candidates": why.lexical_candidates,
        "lists_searched": why.lists_searched,
        "vectors_compared": why.vectors_compared,
        "recordings_left": why.recordings_left if why.HasField("recordings_left") else None,
        "cached": why.cached,
        "hurried": why.hurried,
        "timings_us": {stage: getattr(why.timings, f"{stage}_us") for stage in STAGES},
    }


def _table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
