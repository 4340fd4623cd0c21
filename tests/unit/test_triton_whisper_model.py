"""Whisper's model inside Triton: what each of its instances decodes with."""

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import onnx_whisper

SOURCE = Path(__file__).parents[2] / "triton_models" / "whisper" / "1" / "model.py"
CUTS = ["/models/cut-vi", "/models/cut-en"]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, without Triton, and without leave to change this process' priority."""
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", ModuleType("triton_python_backend_utils"))
    monkeypatch.setattr(os, "sched_setscheduler", lambda *_: None)
    monkeypatch.setattr(os, "nice", lambda _: 0)
    spec = importlib.util.spec_from_file_location("whisper_model", SOURCE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "kind", "exported", "cuts"),
    [
        ("whisper-background", "CPU", "/models/onnx", []),
        ("whisper-batch", "CPU", "/models/onnx", []),
        ("whisper", "CPU", "/models/onnx", None),  # which needs no CTranslate2 at all
        ("whisper", "CPU", "", CUTS),
        ("whisper-background", "CPU", "", CUTS),
        ("whisper", "GPU", "/models/onnx", CUTS),
    ],
)
def test_cuts_are_for_live_speech_in_ctranslate2(
    model: ModuleType, monkeypatch: pytest.MonkeyPatch, name: str, kind: str, exported: str, cuts: list[str] | None
) -> None:
    given: list[list[str]] = []

    def on_ctranslate2(gpu: int | None, threads: int, cuts: Sequence[str] = ()) -> Any:
        given.append(list(cuts))
        return object()

    monkeypatch.setattr(model, "_on_ctranslate2", on_ctranslate2)
    monkeypatch.setattr(model, "OnnxRecogniser", lambda *_: SimpleNamespace(hearing=None))
    monkeypatch.setattr(onnx_whisper, "load", lambda *_: ())
    monkeypatch.setenv("AI2TEXT_WHISPER_ONNX", exported)
    monkeypatch.setenv("AI2TEXT_WHISPER_CUTS", ":".join(CUTS))
    instance = model.TritonPythonModel()
    instance.initialize({"model_name": name, "model_instance_kind": kind, "model_instance_device_id": "0"})
    instance.finalize()
    assert given == ([] if cuts is None else [cuts])
