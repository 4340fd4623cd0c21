"""The throw-away Postgres of a rehearsal ends with it, however that ends."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mesh import postgres, rehearsal

SERVER = """
import signal, sys, time
def end(number, _):
    open(sys.argv[1], "w").write(signal.Signals(number).name)
    sys.exit()
signal.signal(signal.SIGINT, end)
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as long as a client has not gone
open(sys.argv[1], "w").write("runs")
time.sleep(60)
"""


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a server in Postgres' place writes what becomes of it."""
    said = tmp_path / "said"
    said.touch()

    def wait_for(*_: object) -> None:
        while said.read_text() != "runs":
            os.sched_yield()

    monkeypatch.setattr(postgres, "prepare", lambda _: None)
    monkeypatch.setattr(postgres, "system_user", lambda: None)
    monkeypatch.setattr(postgres, "command", lambda *_: [sys.executable, "-ISc", SERVER, str(said)])
    monkeypatch.setattr(rehearsal, "_wait_for", wait_for)
    monkeypatch.setattr(rehearsal, "STOP_SECONDS", 10)
    return said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_server_though_clients_are_there(
    said: Path, number: signal.Signals, request: pytest.FixtureRequest
) -> None:
    found = signal.signal(number, signal.SIG_DFL)  # these tests may run under `nohup`
    request.addfinalizer(lambda: signal.signal(number, found))
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as left, rehearsal.ending_in_order(), rehearsal.throwaway():
        signal.raise_signal(number)
    assert left.value.code == 128 + number
    assert said.read_text() == "SIGINT"
    assert signal.getsignal(number) is before


@contextmanager
def stopping() -> Iterator[None]:
    """What is told to end while it stops what it has started."""
    try:
        yield
    finally:
        signal.raise_signal(signal.SIGHUP)


def test_a_second_signal_does_not_disturb_the_end(request: pytest.FixtureRequest) -> None:
    found = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    request.addfinalizer(lambda: signal.signal(signal.SIGHUP, found))
    with pytest.raises(SystemExit) as left, rehearsal.ending_in_order(), stopping():
        signal.raise_signal(signal.SIGTERM)
    assert left.value.code == 128 + signal.SIGTERM


def test_what_nohup_has_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with rehearsal.ending_in_order():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
