"""`ai2text search`: the moment at which something was said."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Annotated, TypeVar

import typer
from ai2text.search.v1 import hit_pb2

from clients.cli import answers, hits, moments, pcm, playing, running, terminal
from clients.cli.asking import Asking, remembered
from clients.cli.commands import values
from clients.cli.commands.options import AsJson
from clients.cli.connection import Connection
from clients.cli.hits import Answer, Question
from clients.cli.library import Library
from clients.cli.moments import Moment
from clients.cli.playing import Playback
from clients.cli.problem import UsageProblem
from clients.cli.refusal import Refusal
from clients.cli.setup import Setup

T = TypeVar("T")


def search(
    context: typer.Context,
    query: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUERY",
            help='What was said, or a question about it. "Words in quotes" stand in that order; a last word* is a '
            "beginning.",
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=100, help="How many hits at most; with --group recordings.")
    ] = 10,
    recording: Annotated[
        list[str] | None,
        typer.Option("--recording", "-r", metavar="ID", help="Only in this recording; may be repeated."),
    ] = None,
    language: Annotated[
        str, typer.Option("--language", "-l", metavar="CODE", help="Only what was said in this language.")
    ] = "",
    channel: Annotated[
        list[int] | None,
        typer.Option(
            "--channel",
            metavar="N",
            min=0,
            max=pcm.MAX_CHANNELS - 1,
            help="Only what was said in this channel of the sound, counted from 0; may be repeated.",
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="KEY=VALUE", help="Only in recordings with this label; may be repeated."),
    ] = None,
    after: Annotated[
        str,
        typer.Option(
            "--after", metavar="TIME", help="Only in recordings made then or later, such as 2026-11-25 or …T14:30."
        ),
    ] = "",
    before: Annotated[str, typer.Option("--before", metavar="TIME", help="Only in recordings made before that.")] = "",
    start: Annotated[
        str, typer.Option("--from", metavar="H:MM:SS", help="Only from this moment of the --recording on.")
    ] = "",
    end: Annotated[str, typer.Option("--to", metavar="H:MM:SS", help="Only up to this moment.")] = "",
    group: Annotated[bool, typer.Option("--group", help="Show each recording once, with its three best hits.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Show all pages, up to a thousand hits.")] = False,
    page: Annotated[
        str, typer.Option("--page", metavar="TOKEN", help="Go on where a search with the same options ended.")
    ] = "",
    explain: Annotated[
        bool, typer.Option("--explain", help="Say why each hit stands where it does, and how long it took.")
    ] = False,
    rerank: Annotated[
        bool,
        typer.Option("--rerank", help="Compare the first hits word by word: slower, and the best more often first."),
    ] = False,
    play: Annotated[
        bool,
        typer.Option("--play", help="Show what was said around the best hit, and hear it; --json prints its address."),
    ] = False,
    nth: Annotated[
        int, typer.Option("--hit", metavar="N", min=1, help="With --play: that hit, counted from 1, not the best.")
    ] = 1,
    interactive: Annotated[
        bool, typer.Option("--interactive", "-i", help="Ask again and again, with these options.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find when something was said, by its meaning and by its words, in any language.

    Accents may be left out. Each hit shows its time in the recording.
    """
    text = " ".join(query or ())
    _check(text, recording or [], bool(start or end), interactive, as_json, play, nth, every, page)
    setup = running.setup_of(context)
    question = Question(
        text,
        limit,
        language_code=language,
        labels=values.labels(label or ()),
        after=values.time("--after", after) if after else None,
        before=values.time("--before", before) if before else None,
        start_ms=values.moment_ms("--from", start) if start else 0,
        end_ms=values.moment_ms("--to", end) if end else 0,
        by_recording=group,
        explain=explain,
        rerank=rerank,
        page_token=page,
        channels=tuple(dict.fromkeys(channel or ())),
    )
    if interactive:
        _converse(setup, question, recording or [])
    else:
        answer = _once(setup, question, recording or [], every, play, as_json)
        if play and answer.hits:
            _play(setup, _hit(answer, nth), as_json)


def _once(setup: Setup, question: Question, named: Sequence[str], every: bool, numbered: bool, as_json: bool) -> Answer:
    async def ask(connection: Connection) -> Answer:
        asked = replace(question, recording_ids=await _full_ids(connection, named))
        return await hits.search(connection, asked, every)

    answer = running.connected_run(setup, "ai2text search", ask)
    if as_json:
        answers.print_json(answer)
    else:
        answers.show(answer, terminal.output(), numbered)
    if answer.next_token:
        terminal.notes().print(f"There is more: --all, or --page {answer.next_token}", style="dim", soft_wrap=True)
    return answer


def _hit(answer: Answer, nth: int) -> hit_pb2.Hit:
    if nth > len(answer.hits):
        raise UsageProblem(f"There is no hit {nth}.", f"There are {len(answer.hits)}.")
    return answer.hits[nth - 1]


def _play(setup: Setup, hit: hit_pb2.Hit, as_json: bool) -> None:
    """Show a hit with what was said around it, and let it be heard."""
    moment = running.connected_run(setup, "ai2text search", lambda connection: moments.moment(connection, hit))
    if as_json:
        answers.print_moment(moment, _playback(setup, moment))
        return
    console = terminal.output()
    console.print()
    answers.show_moment(moment, console)
    if moment.has_sound:
        _hear(setup, moment)


def _playback(setup: Setup, moment: Moment) -> Playback | None:
    """None when the recording has no file, or has none any more."""
    try:
        return running.connected_run(setup, "ai2text search", lambda c: playing.playback(c, moment))
    except Refusal as refusal:
        if refusal.details.reason == "RECORDING_WITHOUT_FILE":
            return None
        raise


def _hear(setup: Setup, moment: Moment) -> None:
    found = running.connected_run(setup, "ai2text search", lambda c: playing.playback(c, moment))
    playing.play(found, terminal.output(), setup.graphical)


def _converse(setup: Setup, question: Question, named: Sequence[str]) -> None:
    def run(work: Callable[[Connection], Awaitable[T]]) -> T:
        return running.connected_run(setup, "ai2text search", work)

    ids = run(lambda connection: _full_ids(connection, named)) if named else ()
    asking = Asking(
        replace(question, recording_ids=ids),
        lambda asked: run(lambda connection: hits.search(connection, asked)),
        lambda hit: run(lambda connection: moments.moment(connection, hit)),
        lambda moment: _hear(setup, moment),
        terminal.output(),
    )
    with remembered(setup.home.root / "search_history"):
        asking.run()


def _check(
    text: str,
    recording: Sequence[str],
    part: bool,
    interactive: bool,
    as_json: bool,
    play: bool,
    nth: int,
    every: bool,
    page: str,
) -> None:
    """Raises UsageProblem when these do not go together."""
    if not text and not interactive:
        raise UsageProblem("What are you looking for?", 'Try `ai2text search "xin chào"`, or `ai2text search -i`.')
    if interactive and (as_json or play or every or page):
        raise UsageProblem("--interactive goes with neither --json, --play, --all nor --page.")
    if part and not recording:
        raise UsageProblem("--from and --to are moments of a recording.", "Name it with --recording.")
    if every and page:
        raise UsageProblem("--all begins at the first page, and --page at another.", "Leave one of them out.")
    if nth > 1 and not play:
        raise UsageProblem("--hit says which hit is played.", "Add --play.")


async def _full_ids(connection: Connection, named: Sequence[str]) -> tuple[str, ...]:
    """The whole ids of recordings that were named by the beginning of theirs. Raises Problem."""
    return tuple([await Library(connection).full_id(beginning) for beginning in named])
