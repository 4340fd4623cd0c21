"""Options that several commands share."""

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]

Language = Annotated[
    str,
    typer.Option("--language", "-l", metavar="CODE", help="The spoken language, such as vi or en. Default: detect it."),
]

NoStore = Annotated[bool, typer.Option("--no-store", help="Keep nothing: search will not find what is said.")]

Title = Annotated[
    str, typer.Option("--title", help="What to call the recording. Default: the name of the file, or the time.")
]

RecordingId = Annotated[str, typer.Argument(metavar="ID", help="The recording's id, or the beginning of it.")]


def examples(*lines: str) -> str:
    """An epilog with examples, one a line."""
    return "\n".join(["Examples:", "", *(f"- {line}" for line in lines)])
