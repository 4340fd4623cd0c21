"""`ai2text refine`: a text with its numbers, marks, capitals and accents in order."""

import json
import sys
from typing import Annotated

import typer
from ai2text.nlp.v1 import text_service_pb2

from clients.cli import refinement, running, terminal
from clients.cli.commands.options import AsJson
from clients.cli.connection import Connection


def refine(
    context: typer.Context,
    text: Annotated[list[str], typer.Argument(metavar="TEXT", help="The text; - reads it from standard input.")],
    language: Annotated[
        str, typer.Option("--language", "-l", metavar="CODE", help="The language of the text. Default: vi.")
    ] = "",
    steps: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help=f"Only these, with commas between them: {', '.join(refinement.STEPS)}.",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Write numbers, dates and units as people write them, and put marks, capitals and accents in order.

    Each change has the colour of the step that made it; what no step is sure of stays as it was.
    """
    original = sys.stdin.read().rstrip("\n") if text == ["-"] else " ".join(text)
    wanted = refinement.steps(steps)

    async def ask(connection: Connection) -> text_service_pb2.RefineResponse:
        return await refinement.refine(connection, original, language, wanted)

    response = running.connected_run(running.setup_of(context), "ai2text refine", ask)
    if as_json:
        print(json.dumps(refinement.record(original, response), ensure_ascii=False))
        return
    terminal.output().print(refinement.coloured(original, response), soft_wrap=True)
    terminal.notes().print(refinement.legend(response))
