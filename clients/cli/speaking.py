"""A source spoken to the mesh, with captions: what `ai2text live` and the demo do."""

from clients.cli import terminal
from clients.cli.captions import Captions, JsonCaptions, PlainCaptions, TerminalCaptions
from clients.cli.connection import Connection
from clients.cli.interruption import ending
from clients.cli.problem import Problem
from clients.cli.sources import Source
from clients.cli.stream import SpeechStream, Wish
from clients.cli.tally import Tally
from clients.cli.times import clock


def captions_for(as_json: bool = False, partials_anywhere: bool = False) -> Captions:
    """Captions that fit where standard output goes; in a pipe, partials only if they are wanted anywhere."""
    if as_json:
        return JsonCaptions()
    console = terminal.output()
    return TerminalCaptions(console) if console.is_terminal else PlainCaptions(console, partials_anywhere)


async def speak(connection: Connection, source: Source, wish: Wish, captions: Captions, speed: float = 1.0) -> Tally:
    """Streams at the pace of speech until the source ends or Ctrl-C. Raises Problem, Aborted.

    When the stream breaks, a note says what is stored already.
    """
    stream, tally = SpeechStream(connection, wish), Tally()
    try:
        with captions.shown() as show, ending(stream.stop, _tell_ending):
            await stream.live(source, tally.counting(show), speed)
    except Problem:
        if tally.recording_id:
            _tell_stored(tally)
        raise
    return tally


def _tell_ending() -> None:
    terminal.notes().print("\nfinishing what was said; Ctrl-C again to give up", style="dim")


def _tell_stored(tally: Tally) -> None:
    upto = clock(tally.finals[-1].end_ms)
    terminal.notes().print(f"What was said up to {upto} is in recording {tally.recording_id}.", style="dim")
