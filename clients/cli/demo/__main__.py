"""`python -m clients.cli.demo`: starts the mesh, speaks, asks for what was said. Exit code 0 when all is found."""

import asyncio
import os
import subprocess
import sys
import time

from rich.rule import Rule

from clients.cli import hits, running, speaking, terminal
from clients.cli.connection import Connection
from clients.cli.demo import recorded
from clients.cli.demo.clips import CLIPS, FILE, QUERIES, Clip, Query, Reference, references
from clients.cli.hits import Answer, Question
from clients.cli.interruption import ABORTED, Aborted
from clients.cli.problem import Problem
from clients.cli.setup import Setup
from clients.cli.sources import AudioFile
from clients.cli.tally import Tally
from clients.cli.times import precise
from clients.cli.wish import Wish

UP_WITHIN_S = 600
SEARCHABLE_WITHIN_S = 30.0
POLL_S = 0.1
TOP = 3

Recordings = dict[Clip, Tally]


def main() -> int:
    """Runs the demo. Returns the exit code."""
    try:
        began = time.monotonic()
        setup = Setup.read(os.environ)
        known = references(setup.home.root / "speech")
        _start_mesh()
        spoken = {clip: _speak(setup, number, clip, known[clip.file]) for number, clip in enumerate(CLIPS, 1)}
        _transcribe(setup, FILE, known[FILE.file])
        _await_searchable(setup, spoken)
        found = [_ask(setup, query, spoken) for query in QUERIES]
    except Problem as problem:
        terminal.complain(problem)
        return 1
    except (Aborted, KeyboardInterrupt):
        return ABORTED
    if not all(found):
        terminal.complain(Problem("Not everything that was said was found.", "`make status` shows how the mesh is."))
        return 1
    _say_what_next(setup, time.monotonic() - began)
    return 0


def _start_mesh() -> None:
    _headline("Starting the mesh")
    try:
        ended = subprocess.run([sys.executable, "-m", "mesh", "up"], timeout=UP_WITHIN_S, check=False)
    except subprocess.TimeoutExpired:
        raise Problem(f"The mesh was not up within {UP_WITHIN_S} s.", "`make status` shows what is not well.") from None
    if ended.returncode:
        raise Problem("The mesh did not start.", "`ai2text doctor` says what is missing or unwell.")


def _speak(setup: Setup, number: int, clip: Clip, reference: Reference) -> Tally:
    """Streams one clip at the pace of speech, with captions, and shows what was really said."""
    source = AudioFile(reference.path)
    _headline(
        f"Clip {number} of {len(CLIPS)}: {clip.speaker}, {(source.duration_ms or 0) / 1000:.1f} s, as it is spoken"
    )
    wish = Wish(language_code=reference.language_code, title=f"Demo: {clip.speaker}")
    captions = speaking.captions_for(partials_anywhere=True)
    tally = running.connecting_run(
        setup, "ai2text demo", lambda connect: speaking.speak(connect, source, wish, captions)
    )
    console = terminal.output()
    console.print(f"[dim]{'reference':>17}   {reference.transcript}[/]", soft_wrap=True)
    if not tally.finals:
        raise Problem(
            f"Nothing was heard in {reference.path.name}.",
            "`make logs PART=asr-1` shows why, or PART=asr-2, or PART=asr-canary.",
        )
    console.print(f"[dim]{'latency':>17}   {tally.latency()}, from the last word's sound to its text[/]")
    return tally


def _transcribe(setup: Setup, clip: Clip, reference: Reference) -> None:
    """Uploads a file and shows what the batch transcriber and the refinement make of it."""
    _headline(f"A file: {clip.speaker}, uploaded and transcribed")
    began = time.monotonic()
    segments = running.connected_run(
        setup,
        "ai2text demo",
        lambda connection: recorded.transcribed(connection, reference, f"Demo: {clip.speaker}, a file"),
    )
    console = terminal.output()
    for segment in segments:
        console.print(f"{precise(segment.start_ms):>17}   {segment.text}", soft_wrap=True, markup=False)
    console.print(f"[dim]{'reference':>17}   {reference.transcript}[/]", soft_wrap=True)
    if not segments:
        raise Problem(f"Nothing was heard in {reference.path.name}.", "`make logs PART=batch` shows why.")
    console.print(f"[dim]{'stored':>17}   {time.monotonic() - began:.1f} s after it was sent[/]")


def _await_searchable(setup: Setup, spoken: Recordings) -> None:
    """Waits until every clip's first utterance is found. Raises Problem after SEARCHABLE_WITHIN_S."""
    _headline("Waiting until search knows what was said")
    began = time.monotonic()
    running.connected_run(setup, "ai2text demo", lambda connection: _all_searchable(connection, spoken))
    terminal.output().print(
        f"all three recordings can be searched, {time.monotonic() - began:.1f} s after the last word"
    )


async def _all_searchable(connection: Connection, spoken: Recordings) -> None:
    try:
        async with asyncio.timeout(SEARCHABLE_WITHIN_S):
            for tally in spoken.values():
                while not await _is_searchable(connection, tally):  # noqa: ASYNC110 - only the server knows when
                    await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise Problem(
            f"What was said could not be searched within {SEARCHABLE_WITHIN_S:.0f} s.",
            "`make logs PART=embeddings` and PART=search show why.",
        ) from None


async def _is_searchable(connection: Connection, tally: Tally) -> bool:
    question = Question(tally.finals[0].text[:200], limit=1, recording_ids=(tally.recording_id,))
    return bool((await hits.search(connection, question)).hits)


def _ask(setup: Setup, query: Query, spoken: Recordings) -> bool:
    """Searches everything that was ever said and shows the hits. Returns whether this run's clip was found.

    An earlier demo has said the very same words, and equals come in any order: so the check asks this run's recordings
    alone, and the right one has to come first.
    """
    _headline(f"Search: {query.kind}")
    console = terminal.output()
    console.print(f"[bold]{query.text}[/]")
    console.print(hits.table(_search(setup, Question(query.text, limit=TOP))))
    wanted = spoken[query.clip].recording_id
    ours = tuple(tally.recording_id for tally in spoken.values())
    first = next(iter(_search(setup, Question(query.text, limit=1, recording_ids=ours)).hits), None)
    if first is None or first.recording_id != wanted:
        console.print("[red]✗[/] this demo's recording does not come first among its three")
        return False
    console.print(f"[green]✓[/] found in this demo's recording {wanted}, from {precise(first.start_ms)}")
    return True


def _search(setup: Setup, question: Question) -> Answer:
    return running.connected_run(setup, "ai2text demo", lambda connection: hits.search(connection, question))


def _headline(words: str) -> None:
    console = terminal.output()
    console.print()
    console.print(Rule(words, align="left", style="cyan") if console.is_terminal else f"== {words}")


def _say_what_next(setup: Setup, took_s: float) -> None:
    _headline(f"Done in {took_s:.0f} s; the mesh goes on running at {setup.endpoint}")
    console = terminal.output()
    for command, words in (
        ("source .venv/bin/activate", "so that the shell knows ai2text"),
        ("ai2text live --mic --language vi", "speak yourself; Ctrl-C ends"),
        ("ai2text live FILE", "or play any sound or video file"),
        ("ai2text upload FILE…", "or leave files to be transcribed: `ai2text jobs --watch`"),
        ('ai2text search "cha mẹ và con cái"', "find when it was said"),
        ("ai2text recordings list", "what is stored; `show` and `export` take an id"),
        (f"buf curl --list-services {setup.endpoint}", "the contract, by reflection"),
        ("make status", "the parts of the mesh, their ports and logs"),
        ("make down", "stop it; the data stays"),
    ):
        console.print(f"  {command:<52} [dim]{words}[/]", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
