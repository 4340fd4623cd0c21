"""Word errors of the live path beside those of faster-whisper itself, with the same weights and the same beam.

Each clip is spoken to the edge at real-time pace, several at once: `live finals` are the finals as they came, `live` is
what refinements left of them. Then faster-whisper transcribes the same files offline, as its documentation has it.
`make bench-wer` runs it on the mesh of `make up`.
"""

import argparse
import sys

from rich.console import Console
from rich.progress import Progress

from bench import accuracy, report, tables
from bench.ground import Ground


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.wer", description=__doc__)
    Ground.add_arguments(parser)
    parser.add_argument("--beam", type=int, default=5, help="beam of the peer (default: %(default)s)")
    parser.add_argument("--streams", type=int, default=3, help="clips spoken at once (default: %(default)s)")
    parser.add_argument("--unpaced", action="store_true", help="speak as fast as it goes, not at the pace of speech")
    parser.add_argument("--verbose", action="store_true", help="print each clip's texts")
    return parser.parse_args()


def main() -> int:
    """Run, print a table, write build/bench/wer.json."""
    arguments = _arguments()
    ground = Ground.of(arguments)
    spoken, token = ground.clips(), ground.token()
    with Progress(console=Console(stderr=True)) as bar:
        tell = tables.ticking(bar, "live", len(spoken))
        takes = accuracy.live(spoken, ground.target, token, arguments.streams, not arguments.unpaced, tell)
        offline = accuracy.offline(spoken, ground.model, arguments.beam, tables.ticking(bar, "offline", len(spoken)))
    finals = {path: take.first_text for path, take in takes.items()}
    live = {path: take.text for path, take in takes.items()}
    title = f"Word errors, beam {arguments.beam}: {report.machine()}"
    shown, figures = tables.errors(title, spoken, {"live finals": finals, "live": live, "offline": offline})
    if arguments.verbose:
        for clip in spoken:
            print(f"\n{clip.path.name}\n  said    {clip.transcript}")
            print(f"  live    {live[clip.path]}\n  offline {offline[clip.path]}")
    Console().print(shown)
    print(f"figures: {report.write('wer', figures)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
