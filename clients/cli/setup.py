"""What every command needs to know: the edge, the token, the local mesh. The environment is read here and only here."""

import getpass
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from clients.cli.endpoint import Endpoint
from clients.cli.problem import Problem, UsageProblem
from mesh.home import Home
from mesh.keys import Keys
from mesh.ports import HOST, Ports

DEVELOPMENT_TENANT = "dev"
SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
"""Who has set the last of them knows how to show a page, wherever."""


@dataclass(frozen=True)
class Setup:
    """The settings of one run of the command."""

    endpoint: Endpoint
    given_token: str
    """The token the user gave; empty when none."""
    otlp_endpoint: str
    """Where the user wants spans to go, such as http://127.0.0.1:4317; empty: to the local mesh, if it listens."""
    home: Home
    ports: Ports
    user: str
    verbose: bool = False
    graphical: bool = False
    """Whether there is a screen to show windows on."""

    @classmethod
    def read(cls, environ: Mapping[str, str], endpoint: str = "", token: str = "", verbose: bool = False) -> "Setup":
        """The command line's values, then the environment's, then those of the local mesh.

        Raises UsageProblem when the address of the edge, the port base or the token makes no sense.
        """
        try:
            home = Home.from_env(environ)
            ports = Ports.of(home, environ)
        except ValueError as error:
            raise UsageProblem(f"{error}.") from None
        given_token = (token or environ.get("AI2TEXT_TOKEN", "")).strip()
        if not (given_token.isascii() and given_token.isprintable()):  # gRPC would neither send it nor say so
            raise UsageProblem("The token has letters or line ends in it that no token has.", "Is it pasted whole?")
        address = endpoint or environ.get("AI2TEXT_ENDPOINT") or f"http://{HOST}:{ports.edge}"
        return cls(
            endpoint=Endpoint.parse(address),
            given_token=given_token,
            otlp_endpoint=environ.get("AI2TEXT_OTLP_ENDPOINT", ""),
            home=home,
            ports=ports,
            user=environ.get("USER") or _user(),
            verbose=verbose,
            graphical=sys.platform == "darwin" or any(environ.get(name) for name in SCREENS),
        )

    @property
    def keys(self) -> Keys:
        """The development keys of the local mesh."""
        return Keys(self.home.keys)

    def token(self) -> str:
        """The given token, or a development token for a mesh on this machine. Raises Problem when there is neither."""
        if self.given_token:
            return self.given_token
        if not self.endpoint.is_local:
            raise Problem(
                f"{self.endpoint} wants a token and none was given.",
                "Pass one with --token or AI2TEXT_TOKEN; `ai2text token` mints one for a mesh of your own.",
            )
        if not self.keys.exist():
            raise Problem(
                f"No token was given, and there are no development keys in {self.keys.folder}.",
                "`make up` writes the keys; then `ai2text token` prints a token. Or pass --token or AI2TEXT_TOKEN.",
            )
        return self.keys.mint(self.user, DEVELOPMENT_TENANT)


def _user() -> str:
    """The user's name; in a container the number may have none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the latter from Python 3.13 on
        return f"user-{os.getuid()}"
