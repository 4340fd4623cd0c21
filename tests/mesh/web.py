"""The TypeScript client in the tests: its commands, and a clip in the forms that it speaks."""

import subprocess
import wave
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from bench.clips import pcm16
from tests.mesh.running_mesh import ROOT

WEB = ROOT / "clients" / "web"
RATE = 16_000
SILENCE = bytes(2 * RATE)
"""A second of it."""


def npm(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a script of the client's package."""
    command = ["npm", "--prefix", str(WEB), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


@dataclass(frozen=True)
class Clip:
    """What is said, in files: without a header, as a microphone would record it, as a browser would."""

    words: str
    pcm: Path
    wav: Path
    webm: Path

    def environment(self) -> dict[str, str]:
        """As the client's own tests want to be told."""
        return {
            "AI2TEXT_WORDS": self.words,
            "AI2TEXT_LANGUAGE": "vi",
            "AI2TEXT_PCM": str(self.pcm),
            "AI2TEXT_CLIP": str(self.wav),
            "AI2TEXT_WEBM": str(self.webm),
        }


def written(folder: Path, clips: list[tuple[Path, str]]) -> Clip:
    """Clips and what is said in them, one after the other, with pauses."""
    audio = SILENCE + b"".join(pcm16(path) + SILENCE for path, _ in clips)
    clip = Clip(" ".join(words for _, words in clips), *(folder / f"clip.{kind}" for kind in ("pcm", "wav", "webm")))
    clip.pcm.write_bytes(audio)
    with wave.open(str(clip.wav), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(audio)
    write_webm(clip.webm, audio)
    return clip


def write_webm(path: Path, audio: bytes) -> None:
    """Encodes PCM16 as browsers do: Opus in WebM."""
    frame = av.AudioFrame.from_ndarray(np.frombuffer(audio, np.int16)[np.newaxis], "s16", "mono")
    frame.sample_rate = RATE
    resampler = av.AudioResampler("flt", "mono", 48_000)
    with av.open(str(path), "w", format="webm") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        for resampled in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(resampled))
        container.mux(stream.encode(None))
