"""The behaviour of the whole command: global options anywhere on the line, failures in words, exit codes."""

import io
import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from clients.cli import terminal
from clients.cli.interruption import ABORTED, Aborted
from clients.cli.problem import Problem, UsageProblem

GLOBAL_WITH_VALUE = ("--endpoint", "--token")
GLOBAL_FLAGS = ("--verbose", "-v")

ERROR = 1
USAGE = 2


class Ai2TextGroup(TyperGroup):
    """The root of the command tree."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Takes the global options from wherever they stand."""
        return super().parse_args(ctx, globals_first(args))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Parses and runs; an error that nobody foresaw is a sentence too, with --verbose after its traceback."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # not every terminal has every letter
        try:
            return super().main(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the top of the program: nobody above could say it better
            if set(GLOBAL_FLAGS) & set(sys.argv):
                terminal.notes().print_exception()
            terminal.complain(
                Problem(f"{type(error).__name__}: {error}", "That was not foreseen; see it with --verbose.")
            )
            sys.exit(ERROR)
        finally:
            _write_out()

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; what goes wrong is said in a sentence or two on standard error."""
        try:
            return super().invoke(ctx)
        except UsageProblem as problem:
            terminal.complain(problem)
            raise typer.Exit(USAGE) from problem
        except Problem as problem:
            terminal.complain(problem)
            raise typer.Exit(ERROR) from problem
        except Aborted as aborted:
            terminal.notes().print("given up", style="dim")
            raise typer.Exit(ABORTED) from aborted


def _write_out() -> None:
    """Hand over what is still in standard output's buffer, which Python would do last of all and complain of in its own
    words. Raises SystemExit when that fails: without a word where the reader has left, as it does for what is longer.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's own last try
        if not isinstance(error, BrokenPipeError):
            terminal.complain(Problem(f"What was to be said could not be written: {error.strerror}."))
        raise SystemExit(ERROR) from None


def globals_first(args: list[str]) -> list[str]:
    """The same arguments with the global options, and their values, before the command. What follows `--` stays."""
    first: list[str] = []
    rest: list[str] = []
    waiting = iter(args)
    for arg in waiting:
        if arg == "--":
            return [*first, *rest, arg, *waiting]
        if arg in GLOBAL_WITH_VALUE:
            first += [arg, *(value for value in [next(waiting, None)] if value is not None)]
        elif arg in GLOBAL_FLAGS or arg.startswith(tuple(f"{name}=" for name in GLOBAL_WITH_VALUE)):
            first.append(arg)
        else:
            rest.append(arg)
    return [*first, *rest]
