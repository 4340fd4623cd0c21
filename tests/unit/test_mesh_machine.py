"""What a machine must have is said before anything is installed, and CI installs what it can of it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mesh.home import REPOSITORY

LACKS = """#!/bin/sh
[ -e installed ] && exit 0
echo 'This machine lacks:' >&2
echo '  - npm (Debian: apt install npm)' >&2
echo '  - Python 3.11 (Debian: apt install python3.11 python3.11-venv)' >&2
exit 1
"""


def program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def test_ci_installs_the_packages_that_the_machine_lacks(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(REPOSITORY / ".ci" / "run", tmp_path / ".ci" / "run")
    program(tmp_path / "tools" / "check-machine", LACKS)
    program(tmp_path / "bin" / "id", "#!/bin/sh\necho 0\n")
    program(tmp_path / "bin" / "apt-get", '#!/bin/sh\necho "$@" >>apt\n[ "$1" = update ] || touch installed\n')
    program(tmp_path / "bin" / "make", "#!/bin/sh\nexit 3\n")
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "AI2TEXT_CI_WATCHED": "1"}
    ran = subprocess.run([tmp_path / ".ci" / "run"], env=environment, capture_output=True, text=True, check=False)
    assert "what the machine must have: done" in ran.stdout
    assert (ran.returncode, ran.stdout.rstrip().endswith("FAILED in: make setup")) == (3, True)
    update, install = (tmp_path / "apt").read_text().splitlines()
    assert (update, install.split()[-3:]) == ("update -qq", ["npm", "python3.11", "python3.11-venv"])


@pytest.mark.parametrize("home", ["/a b", "a\\b", "/a]", "a$(b"])
def test_a_home_that_triton_cannot_use_is_named(home: str) -> None:
    named = home if home.startswith("/") else f"{REPOSITORY}/{home}"
    assert f"in its path: this is {named}; name another by AI2TEXT_HOME" in told(home)


def test_a_home_with_other_letters_and_marks_is_as_good_as_any() -> None:
    assert "AI2TEXT_HOME" not in told("/srv/tiếng-Việt_+1,~@%=.x#!")


def told(home: str) -> str:
    """What check-machine says, whatever else this machine lacks."""
    environment = os.environ | {"AI2TEXT_HOME": home, "PYTHON": "true"}
    checked = subprocess.run(
        [REPOSITORY / "tools" / "check-machine"], env=environment, capture_output=True, text=True, check=False
    )
    return checked.stderr
