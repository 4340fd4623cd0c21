"""`ai2text search`: the moment at which something was said."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Annotated, TypeVar

import typer

from clients.cli import answers, hits, moments, running, terminal
from clients.cli.asking import Asking, remembered
from clients.cli.commands import values
from clients.cli.commands.options import AsJson
from clients.cli.connection import Connection
from clients.cli.hits import Answer, Question
from clients.cli.library import Library
from clients.cli.moments import Moment
from clients.cli.problem import UsageProblem
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
        bool, typer.Option("--play", help="Show the best hit with what was said around it, and where to hear it.")
    ] = False,
    interactive: Annotated[
        bool, typer.Option("--interactive", "-i", help="Ask again and again, with these options.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find when something was said, by its meaning and by its words, in any language.

    Accents may be left out. Each hit shows its time in the recording.
    """
    text = " ".join(query or ())
    _check(text, recording or [], bool(start or end), interactive, as_json, play, every, page)
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
    )
    if interactive:
        _converse(setup, question, recording or [])
    else:
        _once(setup, question, recording or [], every, play, as_json)


def _once(setup: Setup, question: Question, named: Sequence[str], every: bool, play: bool, as_json: bool) -> None:
    async def ask(connection: Connection) -> tuple[Answer, Moment | None]:
        asked = replace(question, recording_ids=await _full_ids(connection, named))
        answer = await hits.search(connection, asked, every)
        return answer, await moments.moment(connection, answer.hits[0]) if play and answer.hits else None

    answer, moment = running.connected_run(setup, "ai2text search", ask)
    console = terminal.output()
    if as_json:
        answers.print_json(answer)
    else:
        answers.show(answer, console)
    if moment:
        console.print()
        answers.show_moment(moment, console)
    if answer.next_token:
        terminal.notes().print(f"There is more: --all, or --page {answer.next_token}", style="dim", soft_wrap=True)


def _converse(setup: Setup, question: Question, named: Sequence[str]) -> None:
    def run(work: Callable[[Connection], Awaitable[T]]) -> T:
        return running.connected_run(setup, "ai2text search", work)

    ids = run(lambda connection: _full_ids(connection, named)) if named else ()
    asking = Asking(
        replace(question, recording_ids=ids),
        lambda asked: run(lambda connection: hits.search(connection, asked)),
        lambda hit: run(lambda connection: moments.moment(connection, hit)),
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
    if as_json and play:
        raise UsageProblem("--play shows a moment to people, and --json is for scripts.", "Leave one of them out.")


async def _full_ids(connection: Connection, named: Sequence[str]) -> tuple[str, ...]:
    """The whole ids of recordings that were named by the beginning of theirs. Raises Problem."""
    return tuple([await Library(connection).full_id(beginning) for beginning in named])
