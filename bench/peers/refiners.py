"""viet-itn, which writes numbers by finite-state grammars, and pyvi, which restores accents by a random field.

Both live in an environment of their own: viet-itn's package is called `src`, and pyvi wants scikit-learn.
"""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("build/peers/refiners")
REQUIREMENTS = ("viet-itn==0.1.0", "pyvi==0.1.1")

_PROGRAM = """
import json, sys
kind, texts = json.load(sys.stdin)
if kind == "numbers":
    from src.normalize import InverseTextNormalizer
    write = InverseTextNormalizer().inverse_normalize
else:
    from pyvi import ViUtils
    write = ViUtils.add_accents
def safe(text):
    try:
        return write(text)
    except Exception:
        return text
json.dump([safe(text) for text in texts], sys.stdout)
"""


@dataclass(frozen=True)
class Peers:
    """The peers behind the Python of their environment."""

    python: Path

    @classmethod
    def installed(cls) -> "Peers":
        """Installs them unless they are there."""
        python = FOLDER / "bin" / "python"
        if not python.is_file():
            subprocess.run([sys.executable, "-m", "venv", str(FOLDER)], check=True)
            subprocess.run([str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
        return cls(python)

    def numbers(self, texts: list[str]) -> list[str]:
        """viet-itn's texts; one that it fails on stays as it is."""
        return self._run("numbers", texts)

    def accents(self, texts: list[str]) -> list[str]:
        """pyvi's texts; one that it fails on stays as it is."""
        return self._run("accents", texts)

    def _run(self, kind: str, texts: list[str]) -> list[str]:
        command = [str(self.python), "-W", "ignore", "-c", _PROGRAM]
        done = subprocess.run(command, input=json.dumps([kind, texts]), capture_output=True, text=True, check=True)
        written: list[str] = json.loads(done.stdout)
        return written


def in_our_form(text: str) -> str:
    """viet-itn's way of writing as ours, so that only what it understood is compared: "07h30", "05/03/2025", "₫"."""
    text = re.sub(r"\b0?(\d{1,2})h(\d\d)\b", r"\1 giờ \2", text)
    text = re.sub(r"\b0?(\d{1,2})h\b", r"\1 giờ", text)
    text = re.sub(r"\b0?(\d{1,2})/0?(\d{1,2})(/\d{4})?\b", r"\1/\2\3", text)
    text = text.replace("₫", " đồng").replace(" ° c", "°C").replace("° c", "°C").replace(" %", "%")
    return re.sub(r"\s+", " ", text).strip()
