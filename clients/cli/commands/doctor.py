"""`ai2text doctor`: what is missing or unwell, in words."""

import json
from typing import TYPE_CHECKING

import grpc
import typer
from ai2text.asr.v1 import speech_service_pb2
from ai2text.asr.v1.speech_service_pb2_grpc import SpeechServiceStub
from rich.console import Console

from clients.cli import running, terminal
from clients.cli.commands.options import AsJson
from clients.cli.connection import Connection
from clients.cli.problem import Problem
from clients.cli.refusal import Refusal
from clients.cli.setup import Setup

if TYPE_CHECKING:
    from mesh.doctor import Finding

ANSWER_WITHIN_S = 5.0
FROM_SERVERS = frozenset({grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAVAILABLE})
"""Statuses that, with a reason of ours, come from behind the edge: it has let the token through."""


def doctor(context: typer.Context, as_json: AsJson = False) -> None:
    """Say what is missing or unwell, and how to mend it.

    Looks at this machine, what is installed, the models, each part of the local mesh, and whether the edge answers
    and accepts your token. With a remote --endpoint only the edge is looked at. Exit code 1 when something is wrong.
    """
    setup = running.setup_of(context)
    try:
        from mesh import doctor as mesh_doctor  # the rest of the command works without the mesh's packages
    except ImportError as error:
        raise Problem(f"The mesh's packages are not installed ({error.name}).", "make setup") from error
    findings = [*(_local(setup) if setup.endpoint.is_local else []), *edge_findings(setup)]
    if as_json:
        print(json.dumps([finding.as_json() for finding in findings], ensure_ascii=False, indent=2))
    else:
        terminal.output().print(mesh_doctor.table(findings))
    if any(finding.verdict is mesh_doctor.Verdict.MISSING for finding in findings):
        raise typer.Exit(1)


def _local(setup: Setup) -> "list[Finding]":
    from mesh.doctor import examine
    from mesh.lifecycle import Mesh

    return examine(Mesh(setup.home, setup.ports, Console(stderr=True, quiet=True)))


def edge_findings(setup: Setup) -> "list[Finding]":
    """Whether the edge answers and takes the token, seen from here."""
    from mesh.doctor import Finding, Verdict

    try:
        running.connected_run(setup, "ai2text doctor", _capabilities)
    except Refusal as refusal:
        if refusal.code is grpc.StatusCode.UNAUTHENTICATED:
            return [
                Finding("edge", Verdict.OK, f"{setup.endpoint} answers"),
                Finding("token", Verdict.MISSING, refusal.sentence, refusal.hint),
            ]
        if refusal.code in FROM_SERVERS and refusal.details.reason:
            return [
                Finding("edge", Verdict.OK, f"{setup.endpoint} answers and accepts the token"),
                Finding("speech", Verdict.MISSING, refusal.sentence, refusal.hint),
            ]
        return [Finding("edge", Verdict.MISSING, refusal.sentence, refusal.hint)]
    except Problem as problem:
        return [Finding("token", Verdict.MISSING, problem.sentence, problem.hint)]
    return [Finding("edge", Verdict.OK, f"{setup.endpoint} answers and accepts the token")]


async def _capabilities(connection: Connection) -> None:
    stub = SpeechServiceStub(connection.channel)
    await connection.call(stub.GetCapabilities, speech_service_pb2.GetCapabilitiesRequest(), ANSWER_WITHIN_S)
