"""`python -m bench.peers`: installs the peers, each into an environment of its own under build/peers."""

import subprocess
import sys

from bench.peers import livekit


def main() -> int:
    """Makes the environment of WhisperLiveKit unless it is there."""
    if (livekit.FOLDER / "bin" / "whisperlivekit-server").is_file():
        print(f"{livekit.FOLDER} is there already")
        return 0
    subprocess.run([sys.executable, "-m", "venv", str(livekit.FOLDER)], check=True)
    for wanted in livekit.REQUIREMENTS:
        print(f"pip install {' '.join(wanted)}")
        subprocess.run([str(livekit.FOLDER / "bin" / "pip"), "install", "--quiet", *wanted], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
