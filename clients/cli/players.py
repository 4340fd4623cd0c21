"""Players of sound and video that may be installed, and how each is told where to begin."""

import shutil
import signal
import subprocess
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clients.cli.problem import Problem


@dataclass(frozen=True)
class Player:
    """One that is installed."""

    name: str
    path: str
    arguments: Callable[[str, float, str], Sequence[str]]
    """Of an address, the second to begin at, and a title."""

    def play(self, url: str, start_s: float, title: str) -> None:
        """Play until it ends by itself or by its user, who has the terminal meanwhile. Raises Problem."""
        try:
            code, interrupted = _finished([self.path, *self.arguments(url, start_s, title)])
        except OSError as error:
            raise Problem(f"{self.name} cannot be started: {error.strerror}.") from error
        if code and not interrupted:
            raise Problem(f"{self.name} could not play it: it ended with {code}.")


def _mpv(url: str, start_s: float, title: str) -> Sequence[str]:
    return [f"--start={start_s:.3f}", f"--force-media-title={title}", "--", url]


def _ffplay(url: str, start_s: float, title: str) -> Sequence[str]:
    words = ["-hide_banner", "-loglevel", "error", "-stats", "-autoexit", "-ss", f"{start_s:.3f}"]
    return [*words, "-window_title", title, "-i", url]


def _ffplay_unseen(url: str, start_s: float, title: str) -> Sequence[str]:
    return ["-nodisp", *_ffplay(url, start_s, title)]


def _vlc(url: str, start_s: float, title: str) -> Sequence[str]:
    return ["--play-and-exit", f"--start-time={start_s:.3f}", f"--meta-title={title}", url]


_SEEN = {"mpv": _mpv, "ffplay": _ffplay, "vlc": _vlc}
_UNSEEN = {"mpv": _mpv, "ffplay": _ffplay_unseen, "cvlc": _vlc}
"""Where there is no screen to show a window on."""


def installed(graphical: bool) -> Player | None:
    """The first of those known that is there; None when there is none."""
    for name, arguments in (_SEEN if graphical else _UNSEEN).items():
        if path := shutil.which(name):
            return Player(name, path, arguments)
    return None


def browse(address: str, graphical: bool) -> bool:
    """Open it in the browser; whether there is one. None that runs in the terminal is asked: it plays nothing."""
    return graphical and webbrowser.open(address)


def _finished(command: Sequence[str]) -> tuple[int, bool]:
    """The exit code, and whether Ctrl-C was pressed, which the player hears too; it is ended by the second.

    Counted by a handler: an exception could come between any two lines, also before there is a process to wait for.
    """
    interrupts = 0
    process: subprocess.Popen[bytes] | None = None

    def interrupted(*_: object) -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts > 1 and process:
            process.terminate()

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        process = subprocess.Popen(command)
        return process.wait(), interrupts > 0
    finally:
        signal.signal(signal.SIGINT, before)
