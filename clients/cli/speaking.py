"""A source spoken to the mesh, with captions: what `ai2text live` and the demo do."""

from clients.cli import terminal
from clients.cli.captions import Captions, JsonCaptions, PlainCaptions, TerminalCaptions
from clients.cli.connection import Connect
from clients.cli.interruption import Aborted, ending
from clients.cli.live_stream import PATIENT_FOR_S, Resumption
from clients.cli.problem import Problem
from clients.cli.sources import Source
from clients.cli.stream import SpeechStream
from clients.cli.tally import Tally
from clients.cli.times import clock
from clients.cli.wish import Wish


def captions_for(
    as_json: bool = False, partials_anywhere: bool = False, channels: int = 1, verbose: bool = False
) -> Captions:
    """Captions that fit where standard output goes; in a pipe, partials only if they are wanted anywhere."""
    if as_json:
        return JsonCaptions()
    console = terminal.output()
    if console.is_terminal:
        return TerminalCaptions(console, channels, verbose)
    return PlainCaptions(console, partials_anywhere, channels, verbose)


async def speak(
    connect: Connect,
    source: Source,
    wish: Wish,
    captions: Captions,
    speed: float = 1.0,
    patience_s: float = PATIENT_FOR_S,
) -> Tally:
    """Streams at the pace of speech until the source ends or Ctrl-C. Raises Problem, Aborted.

    A lost stream is resumed, with a line about it. When it cannot be, or the user gives up, a note says what is stored.
    """
    tally = Tally()
    stream = SpeechStream(connect, wish, lambda resumption: captions.note(resumed_line(resumption)), patience_s)
    try:
        with captions.shown() as show, ending(stream.stop, _tell_ending):
            await stream.live(source, tally.counting(show), speed)
    except (Problem, Aborted):
        _tell_stored(tally)
        raise
    return tally


def resumed_line(resumption: Resumption) -> str:
    """What became of a stream that was lost, as one line."""
    lost = "connection lost" if resumption.why else "the server is closing"
    how = "its session is gone, a new one began" if resumption.is_anew else "resumed"
    missing = f"{resumption.missing_ms / 1000:.1f} s of sound are missing" if resumption.missing_ms else "nothing lost"
    return f"{lost}; {how} after {resumption.after_s:.1f} s, {missing}"


def _tell_stored(tally: Tally) -> None:
    """Says which recordings have what was heard until it broke off; nothing where none has any."""
    if tally.recording_ids:
        upto, where = clock(tally.finals[-1].end_ms), " and ".join(tally.recording_ids)
        terminal.notes().print(f"What was said up to {upto} is in recording {where}.", style="dim", soft_wrap=True)


def _tell_ending() -> None:
    terminal.notes().print("\nfinishing what was said; Ctrl-C again to give up", style="dim")
