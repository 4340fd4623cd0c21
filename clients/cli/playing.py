"""A moment to hear: with a player that is installed, else in the browser, else at an address to open by hand."""

import sys
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from rich.console import Console

from clients.cli import downloads, players, terminal
from clients.cli.connection import Connection
from clients.cli.downloads import File
from clients.cli.moments import Moment
from clients.cli.times import full

LEAD_IN_MS = 3_000
"""So long before what was found it begins: a voice is not understood from its first syllable on."""


@dataclass(frozen=True)
class Playback:
    """A moment with the file that it is in."""

    moment: Moment
    file: File

    @property
    def start_ms(self) -> int:
        """Where to begin."""
        return max(0, self.moment.hit.start_ms - LEAD_IN_MS)

    @property
    def address(self) -> str:
        """The file from that second on, as browsers understand it (W3C Media Fragments)."""
        return f"{self.file.url}#t={self.start_ms / 1000:g}"

    def until(self) -> str:
        """How long the address is good, in words."""
        expires = self.file.expire_time.ToDatetime(tzinfo=UTC).astimezone()
        return f"Good until {expires:%H:%M}, for whoever has it; it begins at {full(self.start_ms)}."


async def playback(connection: Connection, moment: Moment) -> Playback:
    """Asks for the file. Raises Refusal: with RECORDING_WITHOUT_FILE when there is none."""
    return Playback(moment, await downloads.file_of(connection, moment.hit.recording_id))


def play(playback: Playback, console: Console, graphical: bool) -> None:
    """Play it when somebody is there to hear it; else print the address. Raises Problem.

    `graphical`: whether windows can be shown.
    """
    notes = terminal.notes()
    if not sys.stdout.isatty():
        _print(playback, console)
    elif player := players.installed(graphical):
        notes.print(f"{player.name} plays from {full(playback.start_ms)} on; Ctrl-C ends it.", style="dim")
        player.play(playback.file.url, playback.start_ms / 1000, playback.moment.recording.title)
    elif players.browse(playback.address, graphical):
        notes.print(f"The browser plays from {full(playback.start_ms)} on.", style="dim")
    else:
        _print(playback, console)
        notes.print("To hear it from here, install mpv, ffplay or vlc.", style="dim")


def _print(playback: Playback, console: Console) -> None:
    console.print(playback.address, soft_wrap=True, markup=False)
    terminal.notes().print(playback.until(), style="dim")


def record(moment: Moment, playback: Playback | None) -> dict[str, Any]:
    """The moment as JSON writes it; without a playback there is no address."""
    hit = moment.hit
    written = {
        "recording_id": hit.recording_id,
        "title": moment.recording.title,
        "segment_id": hit.segment_id,
        "start_ms": hit.start_ms,
        "end_ms": hit.end_ms,
    }
    if playback is None:
        return written | {"url": None}
    return written | {
        "url": playback.file.url,
        "play_from_ms": playback.start_ms,
        "content_type": playback.file.content_type,
        "expire_time": playback.file.expire_time.ToJsonString(),
    }
