"""The command line as a shell has it, before a scripted edge."""

import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from clients.cli.__main__ import app
from tests.rpc.cli_edge import Edge, environment

AS_AT_A_TERMINAL = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("clients.cli", run_name="__main__", alter_sys=True)
"""
"""What shells start in the background, these tests perhaps, has SIGINT ignored, and so has what that starts."""


class Shell:
    """Runs the command in this process, or as one of its own, in a world without a mesh."""

    def __init__(self, edge: Edge, home: Path) -> None:
        self.environ = environment(edge.address, home)

    def __call__(self, *args: str | Path, answer: str = "", **environ: str) -> Result:
        return CliRunner().invoke(app, [str(arg) for arg in args], input=answer, env={**self.environ, **environ})

    def start(self, *args: str | Path, **environ: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", AS_AT_A_TERMINAL, *args],
            env={**os.environ, **self.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
