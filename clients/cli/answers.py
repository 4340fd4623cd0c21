"""Answers of a search, shown to people or printed for scripts."""

import json

from rich.console import Console

from clients.cli import explanations, hits, playing, terminal
from clients.cli.hits import Answer
from clients.cli.moments import Moment
from clients.cli.playing import Playback

BY_WORDS_ONLY = "The embedder is away: found by words only, not by meaning."
BUILDING = "The index is being built: what is not in it yet is not found."


def show(answer: Answer, console: Console, numbered: bool = False) -> None:
    """The hits, why they are what they are when the answer says so, and what else there is to know."""
    console.print(
        hits.table(answer, numbered or answer.explanation is not None) if answer.hits else "Nothing was found."
    )
    if answer.explanation is not None:
        _explain(answer, console)
    notes = terminal.notes()
    if answer.building:
        notes.print(BUILDING, style="yellow")
    elif answer.by_words_only:
        notes.print(BY_WORDS_ONLY, style="yellow")


def show_moment(found: Moment, console: Console) -> None:
    """What was said around a hit, and where it was said."""
    if found.segments:
        console.print(found.text(), soft_wrap=True)
    console.print(found.where(), soft_wrap=True, markup=False)


def print_json(answer: Answer) -> None:
    """A line for each hit, or recording; the last one says why, when the answer does."""
    for group in answer.groups:
        _print(hits.group_record(group, answer.titles.get(group.recording_id, "")))
    if not answer.groups:
        for hit in answer.hits:
            _print(hits.record(hit, answer.titles.get(hit.recording_id, "")))
    if answer.explanation is not None:
        _print({"explanation": explanations.record(answer.explanation)})


def print_moment(moment: Moment, playback: Playback | None) -> None:
    """One line more: where the hit can be heard."""
    _print({"moment": playing.record(moment, playback)})


def _explain(answer: Answer, console: Console) -> None:
    assert answer.explanation is not None
    console.print()
    if answer.hits:
        console.print(explanations.hits_table(answer))
        console.print()
    for sentence in explanations.facts(answer.explanation):
        console.print(sentence, soft_wrap=True, markup=False)
    console.print()
    console.print(explanations.timings_table(answer.explanation.timings))


def _print(record: dict[str, object]) -> None:
    print(json.dumps(record, ensure_ascii=False))
