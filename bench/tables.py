"""Figures of speech as tables for people, and as flat keys for build/bench/asr.json."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.progress import Progress
from rich.table import Table

from bench import accuracy
from bench.accuracy import Coverage, Texts
from bench.capacity import holds
from bench.clips import Clip
from bench.load import Round
from bench.measures import Figures, Flicker
from bench.report import Figure
from bench.spread import Spread

PARTS = ("asr", "triton", "envoy")


def ticking(bar: Progress, what: str, total: int) -> Callable[[], None]:
    """A new line of the progress display; call it for each step."""
    task = bar.add_task(what, total=total)
    return lambda: bar.advance(task)


def latencies(title: str, rounds: Iterable[Figures]) -> Table:
    """How soon the text came."""
    table = Table(
        "speakers", "served", "finals", "by server's\nown end", "p50 ms", "p95", "p99", "after the\nendpoint",
        "complete\npartial", "first partial\np50 / p95", "partial\nevery", "words changed\nall / stable",
        "finals\nrefined", "< 500 ms",
        title=title,
    )  # fmt: skip
    for figures in rounds:
        table.add_row(
            str(figures.streams),
            str(figures.admitted - len(figures.broken)),
            str(figures.latency.count),
            str(figures.by_server),
            *(_ms(value) for value in (figures.latency.p50, figures.latency.p95, figures.latency.p99)),
            _ms(figures.after_endpoint.p50),
            _ms(figures.complete_after.p50),
            f"{_ms(figures.first_partial.p50)} / {_ms(figures.first_partial.p95)}",
            _ms(figures.cadence.p50),
            f"{_share(figures.flicker_all)} / {_share(figures.flicker_stable)}",
            _share(figures.refined),
            "[green]yes[/]" if holds(figures) else "[red]no[/]",
        )
    return table


def loads(rounds: Mapping[int, Round], figures: Mapping[int, Figures], covered: Mapping[int, Coverage]) -> Table:
    """What it cost, and whether anything was lost."""
    table = Table(
        "speakers", "refused", "broken off", "dropped\nbytes", "words, of\nthose without load", "turns\nwithout text",
        "cores\nasr", "\ntriton", "\nedge", "\nspeakers", "\nall", "MiB\nasr", "\ntriton", "speakers\nlate p99 ms",
        "held\nback s", title="The same rounds: completeness and cost",
    )  # fmt: skip
    for streams, shown in sorted(figures.items()):
        usage, coverage = rounds[streams].usage, covered.get(streams)
        table.add_row(
            str(streams),
            f"{shown.refused}" + (f", {shown.refused_without_retry} unclear" if shown.refused_without_retry else ""),
            str(len(shown.broken)),
            str(shown.dropped_bytes),
            f"{coverage.share:.1%} of {coverage.words_without_load}" if coverage else "-",
            f"{coverage.empty_turns} of {coverage.turns}" if coverage else "-",
            *(f"{usage.cores_of(part):.2f}" for part in PARTS),
            f"{rounds[streams].generator_cores:.2f}",
            f"{usage.busy_cores:.2f}",
            *(f"{usage.memory_of(part):.0f}" for part in PARTS[:2]),
            f"{shown.late.p99:.1f}",
            f"{shown.held_back_s:.1f}",
        )
    return table


def profile(figures: Figures, long_silence_ms: float, silence_ms: float) -> Table:
    """Where the time of the finals and of the partials goes."""
    table = Table("stage", "p50 ms", "p95 ms", title=f"Where the time goes at {figures.streams} speakers")
    table.add_row("the endpoint's silence, after a long utterance", *[_ms(long_silence_ms)] * 2)
    table.add_row("the endpoint's silence, after a short one", *[_ms(silence_ms)] * 2)
    table.add_row("from the endpoint to the final", _ms(figures.after_endpoint.p50), _ms(figures.after_endpoint.p95))
    for kind, stages in (("final", figures.final_stages), ("partial", figures.partial_stages)):
        for name, spread in vars(stages).items():
            table.add_row(f"{kind}: {name.replace('_', ' ')}", _ms(spread.p50), _ms(spread.p95))
    return table


def errors(title: str, spoken: Sequence[Clip], texts: Mapping[str, Texts]) -> tuple[Table, dict[str, Figure]]:
    """The word and character errors of each way of transcribing, as a table and as figures."""
    figures: dict[str, Figure] = {}
    table = Table("path", "language", "clips", "WER", "CER", title=title)
    for language in accuracy.LANGUAGES:
        for path, heard in texts.items():
            scored = accuracy.rates(spoken, heard, language)
            if scored is None:
                continue
            count = sum(clip.language == language and clip.path in heard for clip in spoken)
            table.add_row(path, language, str(count), f"{scored.wer:.1%}", f"{scored.cer:.1%}")
            key = f"{path.replace(' ', '_')}_{language}"
            figures |= {f"wer_{key}": round(scored.wer, 4), f"cer_{key}": round(scored.cer, 4)}
    return table, figures


def flat(rounds: Mapping[int, Round], figures: Mapping[int, Figures], suffix: str = "") -> dict[str, Figure]:
    """The figures of all rounds under keys that name the number of speakers."""
    found: dict[str, Figure] = {}
    for streams, shown in sorted(figures.items()):
        at = f"at_{streams}_streams{suffix}"
        usage = rounds[streams].usage
        values = {
            **_spread("", shown.latency),
            **_spread("first_partial_", shown.first_partial),
            **_spread("complete_partial_", shown.complete_after),
            **_spread("after_endpoint_", shown.after_endpoint),
            "finals": float(shown.latency.count),
            "finals_by_servers_end": float(shown.by_server),
            "partial_every_ms": shown.cadence.p50,
            "flicker_rate": shown.flicker_all.rate,
            "flicker_rate_stable": shown.flicker_stable.rate,
            "refined_rate": shown.refined.rate,
            "refused": float(shown.refused),
            "broken": float(len(shown.broken)),
            "dropped_bytes": float(shown.dropped_bytes),
            "endpoint_later_than_reference_ms": shown.reference_offset.p50,
            "speakers_late_p99_ms": shown.late.p99,
            "speakers_cores": rounds[streams].generator_cores,
            "busy_cores": usage.busy_cores,
            **{f"{part}_cores": usage.cores_of(part) for part in PARTS},
            **{f"{part}_mib": usage.memory_of(part) for part in PARTS},
        }
        found |= {f"{key}_{at}": round(value, 4) for key, value in values.items() if not math.isnan(value)}
    return found


def flickers(figures: Iterable[Figures]) -> dict[str, Figure]:
    """The share of words of partials that were changed later: of all that any round has shown, of those told as stable,
    and of all of the round in which it was most. No key where none was shown."""
    rounds = [shown for shown in figures if shown.flicker_all.shown]
    if not rounds:
        return {}
    found = {
        "flicker_rate": sum((shown.flicker_all for shown in rounds), Flicker()).rate,
        "flicker_rate_stable": sum((shown.flicker_stable for shown in rounds), Flicker()).rate,
        "flicker_rate_worst_round": max(shown.flicker_all.rate for shown in rounds),
    }
    return {key: round(rate, 4) for key, rate in found.items() if not math.isnan(rate)}


def memory_a_stream(rounds: Mapping[int, Round], part: str) -> float | None:
    """How much more memory a part has for each further speaker, in MiB; None of fewer than two rounds."""
    if len(rounds) < 2:
        return None
    few, many = min(rounds), max(rounds)
    return (rounds[many].usage.memory_of(part) - rounds[few].usage.memory_of(part)) / (many - few)


def _spread(name: str, spread: Spread) -> dict[str, float]:
    return {f"{name}p50_ms": spread.p50, f"{name}p95_ms": spread.p95, f"{name}p99_ms": spread.p99}


def _share(flicker: Flicker) -> str:
    return f"{flicker.rate:.1%}" if flicker.shown else "-"


def _ms(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.0f}"
