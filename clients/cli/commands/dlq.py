"""`ai2text dlq`: the events that could not be handled."""

import base64
import json
from typing import Annotated

import typer
from ai2text.admin.v1 import dead_letter_service_pb2
from rich.text import Text

from clients.cli import dead_letters, running, terminal
from clients.cli.commands.options import AsJson
from clients.cli.connection import Connection
from clients.cli.dead_letters import Choice, DeadLetters
from clients.cli.problem import UsageProblem

LONGEST_EVENT = 4000
"""Characters of an event that are shown; --json shows all."""

dlq = typer.Typer(
    no_args_is_help=True, help="List, read, replay and discard the events that could not be handled. Needs `admin`."
)

Subject = Annotated[str, typer.Option("--subject", metavar="SUBJECT", help="Only of this, such as recording.uploaded.")]
Consumer = Annotated[str, typer.Option("--consumer", metavar="NAME", help="Only those that this consumer gave up.")]
Tenant = Annotated[str, typer.Option("--tenant", metavar="TENANT", help="Only those of this tenant.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Which ones; `dlq list` shows the ids.")]
All = Annotated[bool, typer.Option("--all", help="All of them, or with filters all that pass these.")]


@dlq.command("list")
def list_(
    context: typer.Context,
    subject: Subject = "",
    consumer: Consumer = "",
    tenant: Tenant = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what was given up and why, the oldest first."""
    choice = Choice((), subject, consumer, tenant)
    found = running.connected_run(
        running.setup_of(context), "ai2text dlq list", lambda c: DeadLetters(c).oldest(choice, limit)
    )
    if as_json:
        for letter in found.letters:
            print(json.dumps(dead_letters.record(letter), ensure_ascii=False))
        return
    if found.letters:
        terminal.output().print(dead_letters.table(found.letters))
    else:
        terminal.output().print("Nothing was given up." if not found.total else "None of them passes these filters.")
    if found.total > len(found.letters):
        terminal.notes().print(f"{len(found.letters)} of {found.total}", style="dim")


@dlq.command()
def show(
    context: typer.Context,
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="As `dlq list` shows it.")],
    as_json: AsJson = False,
) -> None:
    """Show one with its event."""
    answer = running.connected_run(
        running.setup_of(context), "ai2text dlq show", lambda c: DeadLetters(c).get(letter_id)
    )
    record, event = dead_letters.record(answer.dead_letter), dead_letters.event(answer)
    if as_json:
        payload = {} if event else {"payload_base64": base64.b64encode(answer.payload).decode()}
        print(json.dumps(record | {"event": event} | payload, ensure_ascii=False, indent=2))
        return
    console = terminal.output()
    for name, value in record.items():
        console.print(Text.assemble((f"{name.replace('_', ' '):<15}", "dim"), str(value)), soft_wrap=True)
    written = json.dumps(event, ensure_ascii=False, indent=2) if event else f"no event: {answer.payload[:200]!r}"
    console.print(Text(f"\n{_cut(written)}"), soft_wrap=True)


@dlq.command()
def replay(
    context: typer.Context,
    ids: Ids = None,
    subject: Subject = "",
    consumer: Consumer = "",
    tenant: Tenant = "",
    every: All = False,
    as_json: AsJson = False,
) -> None:
    """Send some back to the consumers that gave them up, once the cause is mended.

    What fails again comes back as a new one.
    """
    choice = _chosen(ids, every, subject, consumer, tenant)

    async def send_back(connection: Connection) -> dead_letter_service_pb2.ReplayDeadLettersResponse:
        letters = DeadLetters(connection)
        return await letters.replay(await letters.meant(choice) if every else choice)

    done = running.connected_run(running.setup_of(context), "ai2text dlq replay", send_back)
    if as_json:
        print(json.dumps({"replayed": done.replayed_count, "orphaned": done.orphaned_count}))
        return
    terminal.output().print(f"{done.replayed_count} replayed")
    if done.orphaned_count:
        terminal.notes().print(
            f"{done.orphaned_count} stay, to be discarded: the consumers that gave them up are there no more.",
            style="yellow",
        )


@dlq.command()
def discard(
    context: typer.Context,
    ids: Ids = None,
    subject: Subject = "",
    consumer: Consumer = "",
    tenant: Tenant = "",
    every: All = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove some for good."""
    choice = _chosen(ids, every, subject, consumer, tenant)
    setup = running.setup_of(context)
    meant = choice
    if every or not yes:  # what is buried while the question stands must not go unseen
        meant = running.connected_run(setup, "ai2text dlq count", lambda c: DeadLetters(c).meant(choice))
    if not yes and not (meant.ids and typer.confirm(f"Remove {len(meant.ids)} for good?", err=True)):
        terminal.notes().print("nothing was removed", style="dim")
        return
    removed = running.connected_run(setup, "ai2text dlq discard", lambda c: DeadLetters(c).discard(meant))
    terminal.output().print(json.dumps({"discarded": removed}) if as_json else f"{removed} discarded")


def _chosen(ids: list[str] | None, every: bool, subject: str, consumer: str, tenant: str) -> Choice:
    if bool(ids) == every:
        raise UsageProblem("Name either some ids, or --all.", "`ai2text dlq list` shows what there is.")
    return Choice(tuple(ids or ()), subject, consumer, tenant)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_EVENT else f"{text[:LONGEST_EVENT]}\n… ({len(text)} characters: see --json)"
