"""`ai2text live`: captions while somebody speaks."""

from pathlib import Path
from typing import Annotated

import typer

from clients.cli import running, speaking, terminal
from clients.cli.captions import PlainCaptions
from clients.cli.commands.options import AsJson, Language, NoStore, Title
from clients.cli.live_stream import PATIENT_FOR_S
from clients.cli.problem import UsageProblem
from clients.cli.sources import DEFAULT_DEVICE, AudioFile, Microphone, Source
from clients.cli.tally import Tally
from clients.cli.wish import Wish

Languages = Annotated[
    str, typer.Option(metavar="CODES", help="The languages that may be spoken, such as vi,en. Default: any.")
]
Hotwords = Annotated[
    list[str] | None, typer.Option("--hotword", metavar="TERM", help="A name or term to expect; may be repeated.")
]
Pause = Annotated[
    int | None,
    typer.Option(min=64, max=2000, metavar="MS", help="After so much silence an utterance has probably ended."),
]
Silence = Annotated[
    int | None, typer.Option(min=192, max=5000, metavar="MS", help="After so much silence an utterance has ended.")
]
Patience = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="How long to try to resume when the connection is lost.")
]


def live(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="Sound or video of any format.")] = None,
    mic: Annotated[bool, typer.Option("--mic", help="Listen to the microphone instead of a file.")] = False,
    device: Annotated[str, typer.Option(help="The ALSA capture device; `arecord -L` lists them.")] = DEFAULT_DEVICE,
    language: Language = "",
    languages: Languages = "",
    hotwords: Hotwords = None,
    speed: Annotated[float, typer.Option(min=0.1, max=100, help="Play a file faster or slower.")] = 1,
    channels: Annotated[bool, typer.Option("--channels", help="Transcribe each channel of a file apart.")] = False,
    pause_ms: Pause = None,
    silence_ms: Silence = None,
    no_partials: Annotated[bool, typer.Option("--no-partials", help="Show each utterance when it has ended.")] = False,
    no_refinements: Annotated[
        bool, typer.Option("--no-refinements", help="Leave the texts of utterances that have ended as they came.")
    ] = False,
    partial_words: Annotated[
        bool, typer.Option("--partial-words", help="With --json: partials have words with times.")
    ] = False,
    no_store: NoStore = False,
    title: Title = "",
    patience: Patience = PATIENT_FOR_S,
    as_json: AsJson = False,
) -> None:
    """Show captions while you speak, or while a file plays at the pace of speech.

    Words appear as they are spoken and may still change (dim); when you pause, the utterance is settled, stored, and
    can be searched. Ctrl-C ends the recording and waits for the last words. When the connection or the server is lost,
    the session is resumed by itself, and what you say meanwhile is not lost.

    With --json every line is an object with type (session, speech_started, partial, final, refinement, speech_ended,
    status), text, start_ms, end_ms and latency_ms: from when the sound at end_ms was there until the text arrived.
    """
    source = _source(file, mic, device, channels)
    setup = running.setup_of(context)
    captions = speaking.captions_for(as_json, channels=source.channels, verbose=setup.verbose)
    wish = Wish(
        language_code=language,
        partials_disabled=no_partials or isinstance(captions, PlainCaptions),
        storage_disabled=no_store,
        title=title or source.title,
        language_codes=_allowed(language, languages),
        hotwords=tuple(hotwords or ()),
        pause_ms=pause_ms,
        silence_ms=silence_ms,
        partial_words_enabled=partial_words,
        refinements_disabled=no_refinements,  # not where none are shown: what is stored is refined too
        channel_count=source.channels,
    )
    tally: Tally = running.connecting_run(
        setup, "ai2text live", lambda connect: speaking.speak(connect, source, wish, captions, speed, patience)
    )
    if not as_json:
        _summarise(tally)


def _source(file: Path | None, mic: bool, device: str, apart: bool) -> Source:
    if mic and file is not None:
        raise UsageProblem("Either a FILE or --mic, not both.")
    if mic and apart:
        raise UsageProblem("--channels goes with a FILE: the microphone has one channel.")
    if mic:
        return Microphone(device)
    if file is None:
        raise UsageProblem("Nothing to listen to.", "Name a sound file, or pass --mic: ai2text live --mic")
    return AudioFile(file, apart)


def _allowed(language: str, languages: str) -> tuple[str, ...]:
    codes = tuple(code.strip() for code in languages.split(",") if code.strip())
    if language and codes:
        raise UsageProblem("Either --language or --languages, not both.")
    return codes


def _summarise(tally: Tally) -> None:
    console = terminal.output()
    console.print()
    for line in tally.summary():
        console.print(line, style="dim", soft_wrap=True, markup=False)
