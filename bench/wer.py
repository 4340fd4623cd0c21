"""Word errors of the live path beside those of faster-whisper itself, with the same weights and the same beam.

Each clip is spoken to the edge at real-time pace, several at once; then faster-whisper transcribes the same files
offline, as its documentation has it. `make bench-wer` runs it on the mesh of `make up`.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
from ai2text.asr.v1 import audio_pb2, speech_service_pb2, speech_service_pb2_grpc
from faster_whisper import WhisperModel
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench import clips, report, scoring
from mesh.home import Home
from mesh.keys import Keys
from mesh.ports import Ports

CHUNK_S = 0.1
CHUNK_BYTES = int(CHUNK_S * 16_000) * 2


async def _requests(
    pcm: bytes, language: str, pace: float
) -> AsyncIterator[speech_service_pb2.StreamingRecognizeRequest]:
    linear = audio_pb2.AudioFormat(encoding=audio_pb2.AUDIO_ENCODING_LINEAR16, sample_rate_hz=16_000)
    config = speech_service_pb2.StreamingConfig(format=linear, language_code=language, storage_disabled=True)
    yield speech_service_pb2.StreamingRecognizeRequest(config=config)
    began = time.perf_counter()
    for number, offset in enumerate(range(0, len(pcm), CHUNK_BYTES)):
        yield speech_service_pb2.StreamingRecognizeRequest(audio=pcm[offset : offset + CHUNK_BYTES])
        if pace:
            await asyncio.sleep(max(0.0, began + (number + 1) * CHUNK_S / pace - time.perf_counter()))


async def live(
    spoken: list[clips.Clip], target: str, metadata: list[tuple[str, str]], streams: int, pace: float
) -> list[str]:
    """The text of each clip, as the finals of a live session have it."""
    slots = asyncio.Semaphore(streams)
    async with grpc.aio.insecure_channel(target) as channel:
        stub = speech_service_pb2_grpc.SpeechServiceStub(channel)

        async def one(clip: clips.Clip) -> str:
            async with slots:
                asked = _requests(clips.pcm16(clip.path), clip.language, pace)
                call = stub.StreamingRecognize(asked, metadata=metadata, timeout=300)
                text = " ".join([answer.final.text async for answer in call if answer.HasField("final")])
                bar.advance(task)
                return text

        with Progress(console=Console(stderr=True)) as bar:
            task = bar.add_task("live", total=len(spoken))
            return list(await asyncio.gather(*(one(clip) for clip in spoken)))


def offline(spoken: list[clips.Clip], model: Path, beam: int) -> list[str]:
    """The text of each clip, as faster-whisper transcribes the file."""
    whisper = WhisperModel(str(model), device="cpu", compute_type="int8")
    texts = []
    with Progress(console=Console(stderr=True)) as bar:
        for clip in bar.track(spoken, description="offline"):
            segments, _ = whisper.transcribe(str(clip.path), language=clip.language, beam_size=beam)
            texts.append(" ".join(segment.text.strip() for segment in segments))
    return texts


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.wer", description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=clips.DEFAULT_FOLDER, help="the shared data (default: %(default)s)"
    )
    home = Home.from_env()
    weights = home.models / os.environ.get("AI2TEXT_WHISPER_MODEL", "whisper-base")
    parser.add_argument("--target", default=Ports.of(home).address("edge"), help="the edge (default: %(default)s)")
    parser.add_argument("--model", type=Path, default=weights, help="weights of the peer (default: %(default)s)")
    parser.add_argument("--beam", type=int, default=5, help="beam of the peer; the live path's is its setting, 5")
    parser.add_argument("--streams", type=int, default=3, help="clips spoken at once (default: %(default)s)")
    parser.add_argument("--pace", type=float, default=1.0, help="1: real time; 0: as fast as it goes")
    parser.add_argument("--verbose", action="store_true", help="print each clip's texts")
    return parser.parse_args()


def main() -> int:
    """Run, print a table, write build/bench/wer.json."""
    arguments = _arguments()
    if not arguments.data.is_dir():
        print(f"bench-wer needs the evaluation clips in {arguments.data}; --data names another folder", file=sys.stderr)
        return 2
    spoken = clips.load(arguments.data)
    token = Keys(Home.from_env().keys).mint("bench", "bench")
    metadata = [("authorization", f"Bearer {token}")]
    texts = {
        "live": asyncio.run(live(spoken, arguments.target, metadata, arguments.streams, arguments.pace)),
        "offline": offline(spoken, arguments.model, arguments.beam),
    }
    figures: dict[str, float | int | str] = {}
    table = Table(
        "path", "language", "clips", "WER", "CER", title=f"Word errors, beam {arguments.beam}: {report.machine()}"
    )
    for language in ("vi", "en"):
        chosen = [index for index, clip in enumerate(spoken) if clip.language == language]
        references = [spoken[index].transcript for index in chosen]
        for path, heard in texts.items():
            scored = scoring.rates(references, [heard[index] for index in chosen])
            table.add_row(path, language, str(len(chosen)), f"{scored.wer:.1%}", f"{scored.cer:.1%}")
            figures |= {f"wer_{path}_{language}": round(scored.wer, 4), f"cer_{path}_{language}": round(scored.cer, 4)}
    if arguments.verbose:
        for index, clip in enumerate(spoken):
            print(f"\n{clip.path.name}\n  said    {clip.transcript}")
            for path, heard in texts.items():
                print(f"  {path:8}{heard[index]}")
    Console().print(table)
    print(f"figures: {report.write('wer', figures)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
