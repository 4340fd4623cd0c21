"""`ai2text search`: the moment at which something was said."""

import json
from typing import Annotated

import typer

from clients.cli import hits, running, terminal
from clients.cli.commands.options import AsJson
from clients.cli.connection import Connection
from clients.cli.hits import Answer, Question
from clients.cli.library import Library


def search(
    context: typer.Context,
    query: Annotated[list[str], typer.Argument(metavar="QUERY", help="What was said, or a question about it.")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="How many hits at most.")] = 10,
    recording: Annotated[
        list[str] | None,
        typer.Option("--recording", "-r", metavar="ID", help="Only in this recording; may be repeated."),
    ] = None,
    language: Annotated[
        str, typer.Option("--language", "-l", metavar="CODE", help="Only what was said in this language.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Find when something was said, by its meaning and by its words, in any language.

    Accents may be left out. Each hit shows its time in the recording.
    """

    async def ask(connection: Connection) -> Answer:
        ids = [await Library(connection).full_id(given) for given in recording or ()]
        return await hits.search(connection, Question(" ".join(query), limit, tuple(ids), language))

    answer: Answer = running.connected_run(running.setup_of(context), "ai2text search", ask)
    if as_json:
        for hit in answer.hits:
            print(json.dumps(hits.record(hit, answer.titles.get(hit.recording_id, "")), ensure_ascii=False))
        return
    terminal.output().print(hits.table(answer) if answer.hits else "Nothing was found.")
    if answer.by_words_only:
        terminal.notes().print("The embedder is away: found by words only, not by meaning.", style="yellow")
