"""The two consoles: what was asked for on standard output, all else on standard error."""

from rich.console import Console
from rich.text import Text

from clients.cli.problem import Problem

PIPE_WIDTH = 200
"""Columns where there is no terminal to be too narrow."""


def output() -> Console:
    """Standard output as it is now (tests and pipes replace it)."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


def notes() -> Console:
    """Standard error."""
    return Console(stderr=True, highlight=False)


def complain(problem: Problem) -> None:
    """Says what went wrong, and what to do about it."""
    console = notes()
    console.print(Text.assemble(("error: ", "bold red"), problem.sentence), soft_wrap=True)
    if problem.hint:
        console.print(Text.assemble(("hint:  ", "bold"), problem.hint), soft_wrap=True)
