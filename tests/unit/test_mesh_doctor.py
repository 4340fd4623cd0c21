"""What the doctor says of a machine and of logs."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

import encoder
import vectors
from mesh import doctor
from mesh.doctor import Finding, Verdict
from mesh.home import Home
from mesh.keys import Keys
from mesh.lifecycle import Mesh
from mesh.ports import Ports


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home.from_env({"AI2TEXT_HOME": str(tmp_path)})
    home.create()
    return home


def of(findings: list[Finding], what: str) -> list[Finding]:
    return [finding for finding in findings if finding.what == what]


def test_models_that_are_not_there_are_named_with_what_to_do(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AI2TEXT_WHISPER_MODEL", raising=False)
    monkeypatch.setenv("AI2TEXT_EMBEDDER_MODEL", "my-embedder")
    (home.models / "whisper-base").mkdir()
    (home.models / "whisper-base" / "model.bin").touch()
    speech, embedder = of(doctor.before_start(home), "model")
    assert speech.verdict is Verdict.OK
    assert (embedder.verdict, embedder.mend) == (Verdict.MISSING, "make models, or set AI2TEXT_EMBEDDER_MODEL")
    assert str(home.models / "my-embedder") in embedder.words


@pytest.mark.parametrize(
    ("named", "has", "verdict"),
    [
        ("avx2", {"avx2": True}, Verdict.OK),
        ("none", {}, Verdict.OK),
        ("avx512vnni", {"avx2": True, "avx512vnni": False}, Verdict.MISSING),
        ("AVX2", {"avx2": True}, Verdict.MISSING),
    ],
)
def test_instructions_that_the_processor_lacks_are_named_with_those_that_it_has(
    home: Home, monkeypatch: pytest.MonkeyPatch, named: str, has: dict[str, bool], verdict: Verdict
) -> None:
    monkeypatch.setenv(doctor.INSTRUCTIONS, named)
    monkeypatch.setattr(doctor.binding, "get_host_cpu_features", lambda: has)
    [finding] = of(doctor.before_start(home), "instructions")
    assert finding.verdict is verdict
    if verdict is Verdict.MISSING:
        assert "there are avx2, none" in finding.words


def test_instructions_that_nobody_names_are_not_looked_at(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(doctor.INSTRUCTIONS, raising=False)
    assert not of(doctor.before_start(home), "instructions")


def test_the_doctor_knows_the_instructions_of_the_loops() -> None:
    assert (
        vectors.CHOICE,
        (vectors.VNNI.feature, vectors.AVX2.feature),
    ) == (doctor.INSTRUCTIONS, doctor.KNOWN_INSTRUCTIONS)


@pytest.mark.parametrize(
    ("named", "device", "made", "fault"),
    [
        ("compiled", "", ["compiled"], None),
        ("compiled", "", [], "here there are torch"),
        ("compiled", "cuda", ["compiled"], "here there are torch"),
        ("onnx", "", ["compiled", "onnx"], None),
        ("onnx", "cpu", ["compiled"], "here there are compiled, torch"),
        ("torch", "cuda", [], None),
        ("x", "", ["compiled", "onnx"], f"here there are {', '.join(encoder.BACKENDS)}"),
    ],
)
def test_a_backend_that_cannot_be_is_named_with_those_that_can(
    home: Home, monkeypatch: pytest.MonkeyPatch, named: str, device: str, made: list[str], fault: str | None
) -> None:
    for name in made:
        file = (
            home.models / "my-embedder" / {"compiled": encoder.COMPILED / "layers.npz", "onnx": encoder.EXPORTED}[name]
        )
        file.parent.mkdir(parents=True)
        file.touch()
    monkeypatch.setenv("AI2TEXT_EMBEDDER_MODEL", "my-embedder")
    monkeypatch.setenv("AI2TEXT_EMBEDDER_DEVICE", device)
    monkeypatch.setattr(doctor.binding, "get_host_cpu_features", lambda: {"avx2": True, "fma": True})
    monkeypatch.setenv(doctor.BACKEND, named)
    [finding] = of(doctor.before_start(home), "embedder")
    assert finding.verdict is (Verdict.MISSING if fault else Verdict.OK)
    assert finding.words.endswith(fault or f"is {named}")


def test_where_a_processor_has_no_loops_nobody_can_ask_for_them(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    (home.models / "multilingual-e5-small" / encoder.COMPILED).mkdir(parents=True)
    monkeypatch.setattr(doctor.binding, "get_host_cpu_features", lambda: {"avx2": True})
    monkeypatch.setenv(doctor.BACKEND, "compiled")
    [finding] = of(doctor.before_start(home), "embedder")
    assert (finding.verdict, finding.words.endswith("here there are torch")) == (Verdict.MISSING, True)


def test_a_home_from_which_triton_can_load_nothing_is_told_of(tmp_path: Path) -> None:
    found = of(doctor.before_start(Home(tmp_path / "my projects", tmp_path)), "triton")[-1]
    assert found.verdict is Verdict.MISSING
    assert "misread the path of the home, which has ' ' in it" in found.words
    assert found.mend.startswith("set AI2TEXT_HOME to a folder without such marks")


def test_a_backend_that_nobody_names_is_not_looked_at(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(doctor.BACKEND, raising=False)
    assert not of(doctor.before_start(home), "embedder")
    assert encoder.BACKEND == doctor.BACKEND


def test_missing_keys_are_no_obstacle(home: Home) -> None:
    [before] = of(doctor.before_start(home), "keys")
    Keys(home.keys).ensure()
    [after] = of(doctor.before_start(home), "keys")
    assert (before.verdict, after.verdict) == (Verdict.WARNING, Verdict.OK)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for port in range(31000, 32000):
            try:
                holder.bind(("127.0.0.1", port))
                break
            except OSError:
                continue
        holder.listen()
        yield int(holder.getsockname()[1])


def test_a_mesh_that_is_down_and_cannot_come_up(home: Home, taken: int) -> None:
    mesh = Mesh(home, Ports.from_base(taken), Console())
    findings = doctor.examine(mesh)
    assert of(findings, "mesh")[0].mend == "make up"
    assert str(taken) in of(findings, "port")[0].words


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('{"level": "error", "event": "call failed"}', True),
        ('{"level": "info", "event": "no [error] here"}', False),
        ('{"level": "err', False),
        ("[2026-11-24][1][error][config] bad", True),
        ("[7] 2026/11/24 10:00:00 [ERR] JetStream", True),
        ("2026-11-24 UTC [1] FATAL:  role does not exist", True),
        ("[2026-11-24][1][info][main] fine", False),
    ],
)
def test_errors_in_logs(line: str, error: bool) -> None:
    assert doctor.is_error(line) is error


def test_findings_are_shown_as_they_are(home: Home) -> None:
    console = Console(width=100, record=True)
    console.print(doctor.table([Finding("asr", Verdict.WARNING, "its log says [error] [/]", "look [at] it")]))
    shown = console.export_text()
    assert "its log says [error] [/]" in shown
    assert "look [at] it" in shown
