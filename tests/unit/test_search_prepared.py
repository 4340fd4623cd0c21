"""That nothing is left to be compiled when the first search comes."""

import subprocess
import sys

SCRIPT = """
from types import ModuleType
import numpy as np
from servers.search import distances, heaps, inverted, inverting, lists, postings, scoring, term_keys

def made():
    modules = distances, heaps, inverting, postings, scoring, term_keys
    loops = {f"{module.__name__}.{name}": loop for module in modules for name, loop in vars(module).items()}
    return {name: len(loop.signatures) for name, loop in loops.items() if hasattr(loop, "signatures")}

inverted.prepare()
lists.prepare()
print(sorted(name for name, count in made().items() if not count))
"""


def test_all_loops_are_compiled_before_the_server_serves() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
