"""Figures are kept beside those of other runs."""

from pathlib import Path

import pytest

from bench import report


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    return tmp_path


def test_merging_replaces_what_is_measured_anew_and_keeps_the_rest() -> None:
    report.write("asr", {"kept": 1, "replaced": 2})
    report.merge("asr", {"replaced": 3, "new": "words"})
    assert report.read("asr") == {"kept": 1, "replaced": 3, "new": "words"}


def test_what_was_never_written_or_is_damaged_is_empty(folder: Path) -> None:
    assert report.read("asr") == {}
    (folder / "asr.json").write_text("{")
    assert report.read("asr") == {}
