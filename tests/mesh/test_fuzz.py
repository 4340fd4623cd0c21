"""Random requests to every rpc of the running mesh: the short version of `make test-fuzz`."""

import pytest
from rich.console import Console

from bench.fuzz.__main__ import fuzz
from bench.fuzz.methods import public
from tests.mesh.running_mesh import RunningMesh

CASES = 300
SEED = 20_261_126
"""The same cases each time: a run that looks for new ones is `make test-fuzz`."""


@pytest.mark.timeout(240)  # half a minute; when it is the last, asr waits for the sessions that it leaves
def test_no_request_makes_a_server_fail(running: RunningMesh) -> None:
    methods = list(public())
    tallies = fuzz(running.home, running.ports, CASES, SEED, methods, Console(quiet=True))
    assert [str(finding) for tally in tallies for finding in tally.findings] == []
    assert sum(tally.cases for tally in tallies) >= CASES
    # They came to the servers, and into them.
    codes = {code for tally in tallies for code in tally.codes}
    assert {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "UNAUTHENTICATED", "PERMISSION_DENIED"} <= codes
    assert all(tally.codes["OK"] for tally in tallies if tally.method.name.startswith("RecordingService."))
