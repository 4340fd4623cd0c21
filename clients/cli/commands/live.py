"""`ai2text live`: captions while somebody speaks."""

from pathlib import Path
from typing import Annotated

import typer

from clients.cli import running, speaking, terminal
from clients.cli.captions import PlainCaptions
from clients.cli.commands.options import AsJson, Language, NoStore, Title
from clients.cli.problem import UsageProblem
from clients.cli.sources import DEFAULT_DEVICE, AudioFile, Microphone, Source
from clients.cli.stream import Wish
from clients.cli.tally import Tally


def live(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="Sound or video of any format.")] = None,
    mic: Annotated[bool, typer.Option("--mic", help="Listen to the microphone instead of a file.")] = False,
    device: Annotated[str, typer.Option(help="The ALSA capture device; `arecord -L` lists them.")] = DEFAULT_DEVICE,
    language: Language = "",
    speed: Annotated[float, typer.Option(min=0.1, max=100, help="Play a file faster or slower.")] = 1,
    no_partials: Annotated[bool, typer.Option("--no-partials", help="Show each utterance when it has ended.")] = False,
    no_store: NoStore = False,
    title: Title = "",
    as_json: AsJson = False,
) -> None:
    """Show captions while you speak, or while a file plays at the pace of speech.

    Words appear as they are spoken and may still change (dim); when you pause, the utterance is settled, stored, and
    can be searched. Ctrl-C ends the recording and waits for the last words.

    With --json every line is an object with type (session, speech_started, partial, final, speech_ended), text,
    start_ms, end_ms and latency_ms: the time from the sending of the sound at end_ms until the text arrived.
    """
    source = _source(file, mic, device)
    captions = speaking.captions_for(as_json)
    wish = Wish(
        language_code=language,
        partials_disabled=no_partials or isinstance(captions, PlainCaptions),
        storage_disabled=no_store,
        title=title or source.title,
    )
    setup = running.setup_of(context)
    tally: Tally = running.connected_run(
        setup, "ai2text live", lambda connection: speaking.speak(connection, source, wish, captions, speed)
    )
    if not as_json:
        _summarise(tally)


def _source(file: Path | None, mic: bool, device: str) -> Source:
    if mic and file is not None:
        raise UsageProblem("Either a FILE or --mic, not both.")
    if mic:
        return Microphone(device)
    if file is None:
        raise UsageProblem("Nothing to listen to.", "Name a sound file, or pass --mic: ai2text live --mic")
    return AudioFile(file)


def _summarise(tally: Tally) -> None:
    console = terminal.output()
    console.print()
    for line in tally.summary():
        console.print(line, style="dim", soft_wrap=True, markup=False)
