"""The streaming engine under load, over the real edge: latency, capacity, completeness, accuracy, and its peers.

Speakers talk at the pace of speech and are silent half of the time. Latency counts from the moment at which speech
ended, which an offline voice detector says, to the arrival of the final; the endpoint's silence is included. All of it
runs on this machine, the speakers and the peers too. `make bench-asr` runs it on the mesh of `make up`.
"""

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from ai2text.asr.v1 import speech_service_pb2
from ai2text.asr.v1.speech_service_pb2_grpc import SpeechServiceStub
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from bench import accuracy, clips, hallucinations, plot, report, speech_figures, tables, voices, weights
from bench.accuracy import Coverage, Texts
from bench.budget import Budget
from bench.capacity import LIMIT_MS, Capacity, duration
from bench.ground import Ground
from bench.load import Generator, NotAdmitted
from bench.measures import Figures
from bench.noises import noises
from bench.peers.padded import Silences
from bench.peers.rounds import PeerBench, largest
from bench.report import Figure
from bench.speaker import SessionBroken
from bench.speech_figures import NAME
from bench.voices import Voice
from bench.weights import NotReady

SECTIONS = ("load", "accuracy", "noise", "tiny", "peers")
STREAMS = (1, 2, 5, 10, 20, 50)
PROMISED_STREAMS, PROMISED_SECONDS = 20, 45.0
SEARCH_SHARE = 0.6
"""Rounds of a search are so much shorter than the others."""
CALM_STREAMS = 3
"""So many clips are said at once where refinements are to have their time, as in bench.wer."""
QUIET_STREAMS = 8
"""Where they need none."""
WITHIN_S = 830.0
"""With a start of the mesh and the making of models it is then a quarter of an hour."""
LATE_MS = 20.0
"""When the speakers themselves wake so much too late, the latencies are too high by as much."""
NOISES, NOISES_OF_PEER = 200, 50


@dataclass
class SpeechBench:
    """One run. Each section adds its figures to `figures`, of what was measured only."""

    ground: Ground
    options: argparse.Namespace
    spoken: list[clips.Clip]
    voices: list[Voice]
    silences: Silences
    console: Console
    budget: Budget
    figures: dict[str, Figure] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    """What went wrong, in words."""
    texts: dict[str, Texts] = field(default_factory=dict)
    base: Capacity | None = None

    def run(self) -> None:
        """All sections that are wanted, as far as the time goes."""
        wanted = self.options.only or SECTIONS
        sections = {
            "load": self.load, "accuracy": self.accuracy, "noise": self.noise, "tiny": self.tiny, "peers": self.peers,
        }  # fmt: skip
        for name in SECTIONS:
            if name in wanted:
                self.console.rule(f"[bold]{name}[/] [dim]{self.budget.used_s:.0f} s[/]")
                try:
                    sections[name]()
                except (NotAdmitted, NotReady, SessionBroken) as failure:  # the others have figures all the same
                    self.failures.append(f"the rest of {name}: {failure}")
        if self.base is not None and self.base.figures:
            self._show_load(self.base)

    def load(self) -> None:
        """Rounds of N, and the largest N that holds."""
        with self._generator() as generator:
            self.base = Capacity(generator, self.voices, self.options.seed, self._tell)
            generator.await_admission()
            generator.round(self.voices, 2, 8.0, self.options.seed)  # warms up
            for streams in self.options.streams:
                seconds = max(self.options.seconds, PROMISED_SECONDS if streams == PROMISED_STREAMS else 0.0)
                if self.budget.allows(duration(streams, seconds), f"{streams} speakers"):
                    self.base.measure(streams, seconds)
            self._search(self.base, self.options.seconds * SEARCH_SHARE, "base")

    def accuracy(self) -> None:
        """Word errors: few speakers at the pace of speech, as fast as it goes, and faster-whisper's own."""
        seconds = sum(len(voice.pcm) for voice in self.voices) / 16_000
        token, target = self.ground.token(), self.ground.target
        with Progress(console=self.console) as bar:
            for path, paced, at_once, share in (
                ("live", True, CALM_STREAMS, 1.2 / CALM_STREAMS), ("unpaced", False, QUIET_STREAMS, 0.15),
            ):  # fmt: skip
                if self.budget.allows(seconds * share, f"accuracy, {path}"):
                    tell = tables.ticking(bar, path, len(self.spoken))
                    takes = accuracy.live(self.spoken, target, token, at_once, paced, tell)
                    self.texts[f"{path} finals"] = {clip: take.first_text for clip, take in takes.items()}
                    self.texts[path] = {clip: take.text for clip, take in takes.items()}
            if self.budget.allows(1.5 * len(self.spoken), "accuracy, offline"):
                tell = tables.ticking(bar, "offline", len(self.spoken))
                self.texts["offline"] = accuracy.offline(self.spoken, self.ground.model, self.options.beam, tell)
        table, figures = tables.errors("Errors; peer: faster-whisper, offline", self.spoken, self.texts)
        self.figures |= figures
        self.console.print(table)

    def noise(self) -> None:
        """Text that is heard where nobody speaks."""
        sounds = list(noises(NOISES, self.options.seed))
        token = self.ground.token()
        with Progress(console=self.console) as bar:
            tell = tables.ticking(bar, "through the edge", len(sounds))
            ours = hallucinations.live(sounds, self.ground.target, token, QUIET_STREAMS, tell)
            seconds = 100.0 if self.options.full else 20.0
            peer = None
            if self.budget.allows(seconds, "hallucinations of faster-whisper without a detector"):
                few = sounds[:NOISES_OF_PEER]
                tell = tables.ticking(bar, "faster-whisper without a detector", len(few))
                peer = hallucinations.without_detector(few, self.ground.model, seconds, tell)
        for key, name, invented in (("", "ours", ours), ("peer_", "faster-whisper without a detector", peer)):
            if invented is None or not invented.sounds:
                continue
            self.figures |= {f"{key}hallucination_rate": invented.rate, f"{key}noises": invented.sounds}
            self.console.print(f"{name}: text in {invented.kinds.total()} of {invented.sounds} sounds without speech")
            for example in invented.examples[:5]:
                self.console.print(f"  [dim]{escape(example)}[/]")

    def peers(self) -> None:
        """The same speakers for others, with the same weights, while the mesh is idle."""
        ground, options = self.ground, self.options
        bench = PeerBench(ground.model, self.voices, options.seconds, options.seed, self.budget, self.console.print)
        found = {
            "faster_whisper": bench.padded(self.silences),
            "whisperlivekit": bench.livekit(options.peer_port, options.chunk_ms),
        }
        most = [largest(spreads, LIMIT_MS) for spreads in found.values() if spreads]
        known = [n for n in most if n is not None]
        if known and len(known) == len(most):  # or the one that is not known might be more
            self.figures["peer_max_streams_under_500ms"] = max(known)
        for key, spreads in found.items():
            for n, spread in spreads.items():
                self.figures[f"peer_{key}_p50_ms_at_{n}_streams"] = round(spread.p50, 1)
                self.figures[f"peer_{key}_p95_ms_at_{n}_streams"] = round(spread.p95, 1)

    def tiny(self) -> None:
        """The largest N with the smallest weights; those that know English only are spoken English to."""
        folder = self.options.tiny
        if not (folder / "model.bin").is_file():
            make = ".venv-triton/bin/python -m mesh.models --tiny"
            self.budget.left_out.append(f"tiny: there are no weights in {folder}: `{make}` puts them there")
            return
        seconds = self.options.seconds * SEARCH_SHARE
        first = max(1, 2 * (self.base.largest if self.base else 10))
        if not self.budget.allows(60 + duration(first, seconds), "tiny"):
            return
        english = weights.is_english_only(folder)
        said = [voice for voice in self.voices if not english or voice.clip.language == "en"]
        with weights.served(folder, self.ground.home, self.ground.ports), self._generator() as generator:
            tiny = Capacity(generator, said, self.options.seed, self._tell)
            generator.await_admission()
            generator.round(said, 2, 8.0, self.options.seed)
            tiny.measure(first, seconds)
            self._search(tiny, seconds, "tiny")
        self.figures |= tables.flat(tiny.rounds, tiny.figures, "_tiny")
        self.console.print(tables.latencies(f"{folder.name}{', English only' if english else ''}", _sorted(tiny)))

    def _search(self, capacity: Capacity, seconds: float, weights_name: str) -> None:
        """For the largest number of speakers, which is a figure only when the search comes to its end."""
        found, what = capacity.search(seconds, self.budget), f"largest number of speakers with p95 < {LIMIT_MS:.0f} ms"
        if found is None:
            self.console.print(f"{what}: [yellow]not known, the search did not end[/]")
            return
        self.figures[f"max_streams_under_500ms_{weights_name}"] = found
        self.console.print(f"{what}: [bold]{found}[/]")

    def _generator(self) -> Generator:
        ground, options = self.ground, self.options
        return Generator(ground.target, ground.token(), ground.home, options.chunk_ms, options.store)

    def _tell(self, shown: Figures) -> None:
        latency = shown.latency
        self.console.print(
            f"{shown.streams:>4} speakers: p50 {latency.p50:.0f}, p95 {latency.p95:.0f}, p99 {latency.p99:.0f} ms of "
            f"{latency.count} finals; refused {shown.refused}, broken off {len(shown.broken)}, dropped "
            f"{shown.dropped_bytes} bytes [dim]{self.budget.used_s:.0f} s[/]"
        )
        if shown.late.p99 > LATE_MS:
            self.console.print(f"     [yellow]the speakers were late themselves: {shown.late.p99:.0f} ms at p99[/]")
        for ending in sorted(set(shown.broken)):
            self.console.print(f"     [red]broken off: {ending}[/]")

    def _show_load(self, base: Capacity) -> None:
        """The tables of the rounds, beside what the same clips yield without load."""
        quiet = self.texts.get("unpaced finals") or self.texts.get("live finals") or {}
        covered: dict[int, Coverage] = {}
        if quiet:
            covered = {streams: accuracy.coverage(round_, quiet) for streams, round_ in base.rounds.items()}
            said = {n: seen for n, seen in covered.items() if seen.words_without_load}
            self.figures |= {f"words_share_at_{n}_streams": round(seen.share, 4) for n, seen in said.items()}
        self.figures["dropped_bytes"] = sum(shown.dropped_bytes for shown in base.figures.values())
        self.figures |= tables.flat(base.rounds, base.figures) | tables.flickers(base.figures.values())
        self.console.print(tables.latencies("End of speech to final, endpoint included", _sorted(base)))
        self.console.print(tables.loads(base.rounds, base.figures, covered))
        for part in tables.PARTS[:2]:
            if (more := tables.memory_a_stream(base.rounds, part)) is not None:
                self.figures[f"{part}_mib_a_stream"] = round(more, 2)
        if PROMISED_STREAMS in base.figures:
            self._show_promise(base)

    def _show_promise(self, base: Capacity) -> None:
        shown = base.figures[PROMISED_STREAMS]
        self.console.print(tables.profile(shown, self.silences.long_ms, self.silences.short_ms))
        if shown.refined.shown:
            self.figures["refined_rate"] = round(shown.refined.rate, 4)
        for language in accuracy.LANGUAGES:
            if (scored := accuracy.rates_under_load(base.rounds[PROMISED_STREAMS], language)) is not None:
                self.figures[f"wer_at_{PROMISED_STREAMS}_streams_{language}"] = round(scored.wer, 4)
                self.figures[f"cer_at_{PROMISED_STREAMS}_streams_{language}"] = round(scored.cer, 4)
                self.console.print(f"under 20 speakers, {language}: WER {scored.wer:.1%}, CER {scored.cer:.1%}")


def silences(target: str, token: str) -> Silences:
    """The silences that end an utterance, as the server tells them."""
    with grpc.insecure_channel(target) as channel:
        told = SpeechServiceStub(channel).GetCapabilities(
            speech_service_pb2.GetCapabilitiesRequest(), metadata=(("authorization", f"Bearer {token}"),), timeout=10
        )
    short, long = told.endpointing.silence, told.endpointing.long_utterance_silence
    return Silences(*(round(one.ToTimedelta().total_seconds() * 1000) for one in (short, long)))


def _sorted(capacity: Capacity) -> list[Figures]:
    return [capacity.figures[streams] for streams in sorted(capacity.figures)]


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _names(text: str) -> list[str]:
    """Of sections. Raises ValueError, which argparse turns into words."""
    names = text.split(",")
    if not set(names) <= set(SECTIONS):
        raise ValueError(text)
    return names


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.asr", description=__doc__)
    Ground.add_arguments(parser)
    parser.add_argument(
        "--streams", type=_numbers, default=list(STREAMS), help="numbers of speakers (default: 1,2,…,50)"
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="how long they speak (default: %(default)s)")
    parser.add_argument("--chunk-ms", type=int, default=40, help="audio in one message (default: %(default)s)")
    parser.add_argument("--store", action="store_true", help="store what is said; default: nothing is stored")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other conversations (default: %(default)s)")
    parser.add_argument("--beam", type=int, default=5, help="of offline faster-whisper (default: %(default)s)")
    parser.add_argument("--only", type=_names, default=[], help=f"of {','.join(SECTIONS)}")
    parser.add_argument("--within", type=float, default=WITHIN_S, help="seconds it may take (default: %(default)s)")
    parser.add_argument("--full", action="store_true", help="take as long as it takes")
    parser.add_argument("--plot", type=Path, default=Path("docs/asr_latency.svg"), help="(default: %(default)s)")
    parser.add_argument("--tiny", type=Path, default=Ground.tiny_weights(), help="(default: %(default)s)")
    parser.add_argument("--peer-port", type=int, default=9790, help="for whisperlivekit (default: %(default)s)")
    return parser.parse_args()


def _finish(bench: SpeechBench) -> None:
    """Writes the figures and the plot, which has what other runs left in the file too, and says what is missing."""
    ground, tell = bench.ground, bench.console.print
    named = {"machine": report.machine(), "weights": ground.model.name}
    path = report.merge(NAME, bench.figures | named, speech_figures.GROUPS.values())
    kept = report.read(NAME)
    if speech_figures.lines(bench.figures):
        title = f"End of speech to final, 95th percentile: {ground.model.name}, {report.machine().split(',')[0]}"
        lines, limit = speech_figures.lines(kept), (LIMIT_MS, f"{LIMIT_MS:.0f} ms")
        bench.options.plot.write_text(plot.drawn(title, "speakers at once", "milliseconds", lines, limit), "utf-8")
        tell(f"plot: {bench.options.plot}")
    for words in bench.failures:
        tell(f"[red]failed[/] {escape(words)}")
    for words in bench.budget.left_out:
        tell(f"[yellow]left out[/] {escape(words)}")
    tell(f"figures: {path}, {bench.budget.used_s:.0f} s")
    if missing := speech_figures.missing(bench.figures, kept):
        tell(f"not measured in this run: {', '.join(missing)}")


def main() -> int:
    """Run, print tables, write build/bench/asr.json and the plot; 1 when something went wrong, 2 without a mesh."""
    options = _arguments()
    ground, console = Ground.of(options), Console(width=None if sys.stdout.isatty() else 170)
    try:
        told = silences(ground.target, ground.token())
    except grpc.RpcError as error:
        print(f"no mesh answers at {ground.target} ({error.code().name}): `make up` starts it", file=sys.stderr)
        return 2
    spoken = ground.clips()
    budget = Budget(float("inf") if options.full else options.within)
    console.print(f"{report.machine()}; {len(spoken)} clips; speakers send {options.chunk_ms} ms at a time")
    bench = SpeechBench(ground, options, spoken, voices.ready(spoken), told, console, budget)
    try:
        bench.run()
    finally:  # what was measured is kept, also when somebody has seen enough
        _finish(bench)
    return 1 if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main())
