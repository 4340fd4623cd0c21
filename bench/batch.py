"""Audio seconds a second of the batch path, beside faster-whisper's BatchedInferencePipeline with the same weights.

Twice: the clips one by one, and joined into one long recording for each language. Ours is timed from the first byte of
the first upload until the last transcript is stored. `make bench-batch` runs it on the mesh of `make up`.
"""

import argparse
import asyncio
import sys
import tempfile
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench import batching, report, scoring, tables
from bench.accuracy import LANGUAGES
from bench.batching import Sound, Written
from bench.clips import Clip, pcm16
from bench.ground import Ground
from bench.report import Figure

PAUSE = bytes(2 * 16_000)
"""A second of silence between clips that are joined."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.batch", description=__doc__)
    Ground.add_arguments(parser)
    parser.add_argument("--beam", type=int, default=5, help="beam of the peer (default: %(default)s)")
    parser.add_argument("--clips", type=int, default=10_000, help="so many of each language at most")
    parser.add_argument("--repeat", type=int, default=1, help="how often a long recording repeats its clips")
    parser.add_argument("--verbose", action="store_true", help="print each text")
    return parser.parse_args()


def _chosen(clips: Sequence[Clip], most: int) -> list[Clip]:
    return [clip for language in LANGUAGES for clip in [each for each in clips if each.language == language][:most]]


def _single(clips: Sequence[Clip]) -> list[Sound]:
    return [Sound(clip.path, clip.language, len(pcm16(clip.path)) / 32_000, clip.transcript) for clip in clips]


def _joined(clips: Sequence[Clip], repeat: int, folder: Path) -> list[Sound]:
    """One long recording of all clips of each language."""
    return [
        _recording([clip for clip in clips if clip.language == language] * repeat, language, folder)
        for language in LANGUAGES
        if any(clip.language == language for clip in clips)
    ]


def _recording(clips: Sequence[Clip], language: str, folder: Path) -> Sound:
    path = folder / f"{language}.wav"
    content = b"".join(pcm16(clip.path) + PAUSE for clip in clips)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(content)
    return Sound(path, language, len(content) / 32_000, " ".join(clip.transcript for clip in clips))


def _errors(sounds: Sequence[Sound], texts: Sequence[str], language: str) -> scoring.Rates:
    pairs = [(sound.transcript, text) for sound, text in zip(sounds, texts, strict=True) if sound.language == language]
    return scoring.rates(*zip(*pairs, strict=True))


def _figures(prefix: str, sounds: Sequence[Sound], runs: dict[str, Written]) -> dict[str, Figure]:
    seconds = sum(sound.seconds for sound in sounds)
    figures: dict[str, Figure] = {f"{prefix}audio_s": round(seconds, 1), f"{prefix}files": len(sounds)}
    for who, run in runs.items():
        figures[f"{prefix}{who}_audio_seconds_per_second"] = round(seconds / run.took_s, 2)
        for language in sorted({sound.language for sound in sounds}):
            rates = _errors(sounds, run.raw_texts, language)
            figures[f"{prefix}{who}_{language}_wer"] = round(rates.wer, 4)
            figures[f"{prefix}{who}_{language}_cer"] = round(rates.cer, 4)
            if run.texts != run.raw_texts:
                figures[f"{prefix}{who}_{language}_refined_cer"] = round(_errors(sounds, run.texts, language).cer, 4)
    return figures


def _measured(sounds: Sequence[Sound], ground: Ground, beam: int, bar: Progress, what: str) -> dict[str, Written]:
    token = ground.token()
    mine = asyncio.run(batching.ours(sounds, ground.target, token, tables.ticking(bar, f"{what}, mesh", len(sounds))))
    theirs = batching.peer(sounds, ground.model, beam, tables.ticking(bar, f"{what}, peer", len(sounds)))
    return {"batch": mine, "peer": theirs}


def _table(rows: Mapping[str, tuple[Sequence[Sound], dict[str, Written]]]) -> Table:
    table = Table("what", "audio s", "who", "took s", "audio s/s", *(f"WER {language}" for language in LANGUAGES),
                  title=f"Batch transcription: {report.machine()}")  # fmt: skip
    for what, (sounds, runs) in rows.items():
        seconds = sum(sound.seconds for sound in sounds)
        for who, run in runs.items():
            errors = [
                f"{_errors(sounds, run.raw_texts, language).wer:.3f}"
                if any(sound.language == language for sound in sounds)
                else ""
                for language in LANGUAGES
            ]
            table.add_row(what, f"{seconds:.0f}", who, f"{run.took_s:.1f}", f"{seconds / run.took_s:.2f}", *errors)
    return table


def main() -> int:
    """Run, print a table, write build/bench/batch.json, and two figures into build/bench/pipeline.json."""
    arguments = _arguments()
    ground = Ground.of(arguments)
    clips = _chosen(ground.clips(), arguments.clips)
    with tempfile.TemporaryDirectory() as folder, Progress(console=Console(stderr=True)) as bar:
        single, joined = _single(clips), _joined(clips, arguments.repeat, Path(folder))
        rows = {
            "joined": (joined, _measured(joined, ground, arguments.beam, bar, "joined")),
            "clips": (single, _measured(single, ground, arguments.beam, bar, "clips")),
        }
    if arguments.verbose:
        for sounds, runs in rows.values():
            for place, sound in enumerate(sounds):
                print(f"\n{sound.path.name}\n  said  {sound.transcript}")
                for who, run in runs.items():
                    print(f"  {who:<5} {run.raw_texts[place]}")
    Console().print(_table(rows))
    figures = {key: value for what, row in rows.items() for key, value in _figures(f"{what}_", *row).items()}
    print(f"figures: {report.write('batch', figures)}")
    both = ("batch_audio_seconds_per_second", "peer_audio_seconds_per_second")
    report.merge("pipeline", {key: figures[f"joined_{key}"] for key in both})
    return 0


if __name__ == "__main__":
    sys.exit(main())
