"""`ai2text token`: a development token for the local mesh."""

import re
from typing import Annotated

import typer

from clients.cli import running
from clients.cli.problem import Problem, UsageProblem
from clients.cli.setup import DEVELOPMENT_TENANT
from mesh.keys import SCOPES, KeysMissing

_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def token(
    context: typer.Context,
    tenant: Annotated[str, typer.Option(help="Whose recordings it opens.")] = DEVELOPMENT_TENANT,
    subject: Annotated[str, typer.Option(help="Who calls. Default: your user name.")] = "",
    scope: Annotated[
        list[str] | None, typer.Option(help=f"What it allows; may be repeated. Default: all of {', '.join(SCOPES)}.")
    ] = None,
    ttl: Annotated[str, typer.Option(metavar="DURATION", help="How long it is valid: 90s, 30m, 12h, 7d.")] = "12h",
) -> None:
    """Print a development token for the mesh on this machine.

    It is signed with the key that `make up` wrote; a production edge does not accept it.
    """
    setup = running.setup_of(context)
    unknown = sorted(set(scope or ()) - set(SCOPES))
    if unknown:
        raise UsageProblem(f"There is no scope {', '.join(unknown)}.", f"There are {', '.join(SCOPES)}.")
    try:
        print(setup.keys.mint(subject or setup.user, tenant, scope or SCOPES, seconds(ttl)))
    except KeysMissing as error:
        raise Problem(f"There are no development keys in {setup.keys.folder}.", "`make up` writes them.") from error
    except ValueError as error:
        raise UsageProblem(f"{error}.") from error


def seconds(duration: str) -> float:
    """`90s`, `30m`, `12h`, `7d` in seconds. Raises UsageProblem for anything else, and for zero."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", duration.strip())
    if match is None or float(match[1]) <= 0:
        raise UsageProblem(f"{duration!r} is no duration.", "It looks like 90s, 30m, 12h or 7d.")
    return float(match[1]) * _UNIT_S[match[2]]
