"""The entry point: the commands, and what they have in common."""

import importlib.metadata
import os
from typing import Annotated

import typer

from clients.cli.commands.capabilities import capabilities
from clients.cli.commands.dlq import dlq
from clients.cli.commands.doctor import doctor
from clients.cli.commands.jobs import jobs
from clients.cli.commands.live import live
from clients.cli.commands.options import examples
from clients.cli.commands.recordings import recordings
from clients.cli.commands.refine import refine
from clients.cli.commands.reindex import reindex
from clients.cli.commands.search import search
from clients.cli.commands.token import token
from clients.cli.commands.transcribe import transcribe
from clients.cli.commands.upload import upload
from clients.cli.group import Ai2TextGroup
from clients.cli.setup import Setup

START = examples(
    "ai2text doctor — is everything there, and well?",
    "ai2text live speech.wav — play a file at the pace of speech, and see the captions",
    "ai2text live --mic --language vi — speak yourself; Ctrl-C ends",
    'ai2text search "what is good for children" — find when it was said',
    "ai2text recordings list — what is stored",
    "The mesh on this machine is started with `make up`; --endpoint, --token and --verbose may stand anywhere.",
)

app = typer.Typer(
    name="ai2text",
    cls=Ai2TextGroup,
    help="Live and recorded speech as text that can be searched by meaning, Vietnamese first.",
    epilog=START,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"ai2text {importlib.metadata.version('ai2text')}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    endpoint: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="The edge: http://HOST:PORT or https://HOST. Default: AI2TEXT_ENDPOINT, else the local mesh.",
        ),
    ] = "",
    token: Annotated[
        str,
        typer.Option(
            metavar="JWT",
            help="Who you are. Default: AI2TEXT_TOKEN, else for the local mesh a development token.",
        ),
    ] = "",
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Say where calls go, the id of the trace, and how the server stands."),
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Reads the global options; the help text is the one of `app`."""
    context.obj = Setup.read(os.environ, endpoint, token, verbose)


app.command(
    epilog=examples(
        "ai2text live --mic --language vi",
        "ai2text live talk.mp4 --title 'Team meeting'",
        "ai2text live call.wav --channels --languages vi,en --hotword 'Trần Hưng Đạo'",
        "ai2text live speech.wav --json | jq -r 'select(.type == \"final\") | .text'",
    )
)(live)
app.command(
    epilog=examples(
        "ai2text transcribe talk.mp3",
        "ai2text transcribe talk.mp3 --format srt --output talk.srt",
        "ai2text transcribe *.wav --format vtt --output subtitles/",
    )
)(transcribe)
app.command(
    epilog=examples(
        "ai2text upload recordings/ --language vi --label project=atlas",
        "ai2text upload meeting.mp4 --title 'Team meeting'",
        "ai2text upload recordings/ --json | jq -r .recording_id",
    )
)(upload)
app.command(
    epilog=examples(
        'ai2text search "cha mẹ và con cái"',
        'ai2text search "cha me va con cai" --limit 3 --group',
        "ai2text search '\"nuôi con\" kho*' --label team=a --after 2026-11-01 --explain",
        'ai2text search "cha mẹ và con cái" --play --hit 2',
        "ai2text search -i --language vi",
        'ai2text search "what is good for children" --json',
    )
)(search)
app.command(
    epilog=examples(
        'ai2text refine "hẹn gặp lúc bảy giờ rưỡi ngày mười lăm tháng ba"',
        "ai2text refine --steps diacritics 'xin chao viet nam'",
        "ai2text refine --json - < transcript.txt | jq -r .text",
    )
)(refine)
app.add_typer(
    recordings,
    name="recordings",
    epilog=examples(
        "ai2text recordings list --title meeting",
        "ai2text recordings export 3b99e991 --format srt --output meeting.srt",
        "ai2text recordings download 3b99e991 --to meeting.mp4",
    ),
)
app.add_typer(
    jobs,
    name="jobs",
    epilog=examples(
        "ai2text jobs --watch",
        "ai2text jobs wait 3b99e991",
        "ai2text jobs retry 92a98ccd --language vi",
    ),
)
app.add_typer(
    dlq,
    name="dlq",
    epilog=examples(
        "ai2text dlq list --consumer embeddings",
        "ai2text dlq replay --all --subject recording.uploaded",
        "ai2text dlq discard 1-0cbf213db537",
    ),
)
app.command(
    epilog=examples(
        "ai2text reindex",
        "ai2text reindex --tenant acme",
        "ai2text reindex --tenant acme --recording 3b99e991-0000-4000-8000-000000000001",
    )
)(reindex)
app.command(
    epilog=examples(
        "export AI2TEXT_TOKEN=$(ai2text token)",
        "ai2text token --tenant acme --subject lan --scope search --ttl 30m",
    )
)(token)
app.command()(doctor)
app.command()(capabilities)

if __name__ == "__main__":
    app(prog_name="ai2text")
