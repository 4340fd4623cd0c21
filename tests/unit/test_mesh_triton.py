"""How Triton is started: its arguments, its environment, what a killed one left behind."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mesh import model_repository, triton
from mesh.home import Home
from mesh.models.__main__ import products
from mesh.ports import Ports
from mesh.triton import (
    Installation,
    assemble_backends,
    command,
    end_orphans,
    environment,
    path_faults,
    remove_leaked_memory,
    shared_memory_prefix,
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home", tmp_path / "home" / "models")


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """The files of the wheel that a start touches, in an environment of a Python that has no library of its own."""
    installation = Installation(tmp_path / "venv")
    for folder in ("bin", "backends/python", "python_backend_stubs/3.11"):
        (installation.server / folder).mkdir(parents=True)
    installation.binary.touch()
    (installation.server / "backends/python/libtriton_python.so").write_text("backend")
    (installation.server / "python_backend_stubs/3.11/triton_python_backend_stub").write_text("stub")
    (installation.venv / "pyvenv.cfg").write_text(f"home = {tmp_path / 'python' / 'bin'}\nversion = 3.11.2\n")
    (installation.venv / "bin").mkdir()
    return installation


def interpreter(installation: Installation, version: str) -> None:
    """Gives the environment a Python that says of itself that it is this one."""
    python = installation.venv / "bin" / "python"
    python.write_text(f"#!/bin/sh\necho {version}\n")
    python.chmod(0o755)


def test_everything_listens_on_the_loopback_at_the_ports_of_the_mesh(installation: Installation, home: Home) -> None:
    arguments = command(installation, home, Ports.from_base(9000))
    assert {"--grpc-address=127.0.0.1", "--http-address=127.0.0.1", "--metrics-address=127.0.0.1"} <= set(arguments)
    assert {"--grpc-port=9007", "--http-port=9006", "--metrics-port=9008"} <= set(arguments)
    assert "--trace-config=opentelemetry,url=http://127.0.0.1:9010/v1/traces" in arguments


def test_models_are_folders_of_the_models_folder_or_paths(installation: Installation, home: Home) -> None:
    found = environment(installation, home, {"AI2TEXT_WHISPER_MODEL": "/else/where", "PYTHONPATH": "x", "PATH": "/bin"})
    assert found["AI2TEXT_WHISPER_MODEL"] == "/else/where"
    assert found["AI2TEXT_EMBEDDER_MODEL"] == str(home.models / "multilingual-e5-small")
    assert found["PATH"] == f"{installation.venv}/bin:/bin"
    assert "PYTHONPATH" not in found


def test_the_c_library_is_asked_for_large_pages_beside_what_it_is_asked_for_already(
    installation: Installation, home: Home
) -> None:
    assert environment(installation, home, {})["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=1"
    own = environment(installation, home, {"GLIBC_TUNABLES": "glibc.malloc.arena_max=4"})["GLIBC_TUNABLES"]
    assert own == "glibc.malloc.arena_max=4:glibc.malloc.hugetlb=1"


def test_whisper_is_given_its_cuts_unless_the_settings_name_others(installation: Installation, home: Home) -> None:
    for name in ("whisper-base", "whisper-base-cut-vi", "whisper-base-cut-en", "whisper-tiny.en-cut-en"):
        (home.models / name).mkdir(parents=True)

    def cuts(**settings: str) -> str:
        return environment(installation, home, settings)["AI2TEXT_WHISPER_CUTS"]

    assert cuts() == f"{home.models}/whisper-base-cut-en:{home.models}/whisper-base-cut-vi"
    assert cuts(AI2TEXT_WHISPER_MODEL="/else/where/whisper-tiny.en") == f"{home.models}/whisper-tiny.en-cut-en"
    assert cuts(AI2TEXT_WHISPER_MODEL="whisper-large") == cuts(AI2TEXT_WHISPER_CUTS="") == ""


def test_whisper_is_given_what_onnx_runtime_takes_of_it_where_that_is(installation: Installation, home: Home) -> None:
    (home.models / "whisper-base-onnx").mkdir(parents=True)

    def exported(**settings: str) -> str:
        return environment(installation, home, settings)["AI2TEXT_WHISPER_ONNX"]

    assert exported() == f"{home.models}/whisper-base-onnx"
    assert exported(AI2TEXT_WHISPER_MODEL="whisper-large") == exported(AI2TEXT_WHISPER_ONNX="") == ""
    assert exported(AI2TEXT_WHISPER_ONNX="/else/where") == "/else/where"
    (home.models / "fw-medium-onnx").mkdir()  # of a model elsewhere too it is in the models folder
    assert exported(AI2TEXT_WHISPER_MODEL="/data/fw-medium") == f"{home.models}/fw-medium-onnx"


def test_what_is_made_of_a_whisper_elsewhere_is_what_triton_is_given(
    installation: Installation, home: Home, tmp_path: Path
) -> None:
    own = tmp_path / "data" / "fw-medium"
    own.mkdir(parents=True)
    (own / "vocabulary.txt").write_text("a\n" * 51_864)
    (own / "model.bin").touch()
    *_, cut, exported = products(home, speech_too=False, tiny_too=False, own_models=[str(own)])
    for product in (cut, exported):
        product.folder.mkdir(parents=True)
    found = environment(installation, home, {"AI2TEXT_WHISPER_MODEL": str(own)})
    assert (found["AI2TEXT_WHISPER_CUTS"], found["AI2TEXT_WHISPER_ONNX"]) == (str(cut.folder), str(exported.folder))


def test_on_a_gpu_whisper_is_given_no_cuts_and_the_libraries_of_cuda(installation: Installation, home: Home) -> None:
    (home.models / "whisper-base-cut-vi").mkdir(parents=True)
    libraries = installation.packages / "nvidia" / "cublas" / "lib"
    libraries.mkdir(parents=True)
    on_gpu = environment(installation, home, {"AI2TEXT_WHISPER_DEVICE": "cuda"})
    assert on_gpu["AI2TEXT_WHISPER_CUTS"] == ""
    assert str(libraries) in on_gpu["LD_LIBRARY_PATH"].split(":")
    assert environment(installation, home, {})["AI2TEXT_WHISPER_CUTS"] == f"{home.models}/whisper-base-cut-vi"


def test_settings_change_a_models_configuration_and_nothing_else(tmp_path: Path) -> None:
    source = (model_repository.SOURCE / "whisper" / "config.pbtxt").read_text()
    assert model_repository.configured(source, "whisper", {}) == source
    settings = {"AI2TEXT_WHISPER_DEVICE": "cuda", "AI2TEXT_WHISPER_INSTANCES": "1", "AI2TEXT_WHISPER_BATCH_SIZE": "32"}
    assert model_repository.configured(source, "embedder", settings) == source
    on_gpu = model_repository.configured(source, "whisper", settings)
    assert "{ kind: KIND_GPU, count: 1 }" in on_gpu
    assert "\nmax_batch_size: 32\n" in on_gpu
    assert len(on_gpu.splitlines()) == len(source.splitlines())
    unsaid = model_repository.configured(source, "whisper", {"AI2TEXT_WHISPER_DEVICE": "cuda:0"})
    assert "{ kind: KIND_GPU, count: 4 }" in unsaid
    embedder = (model_repository.SOURCE / "embedder" / "config.pbtxt").read_text()
    on_gpu = model_repository.configured(embedder, "embedder", {"AI2TEXT_EMBEDDER_DEVICE": "cuda"})
    assert "{ kind: KIND_GPU, count: 1 }" in on_gpu
    assert "\nmax_batch_size: 32\n" in unsaid
    on_cpu = model_repository.configured(source, "whisper", {"AI2TEXT_WHISPER_BATCH_SIZE": "5"})
    assert "\nmax_batch_size: 5\n" in on_cpu
    with pytest.raises(ValueError, match="AI2TEXT_WHISPER_INSTANCES must be a number above 0, not '0'"):
        model_repository.configured(source, "whisper", {"AI2TEXT_WHISPER_INSTANCES": "0"})


def test_the_repository_holds_every_model_and_forgets_an_earlier_one(tmp_path: Path) -> None:
    (tmp_path / "models" / "gone").mkdir(parents=True)
    settings = {"AI2TEXT_EMBEDDER_INSTANCES": "3", "AI2TEXT_WHISPER_INSTANCES": "4"}
    folder = model_repository.assemble(tmp_path / "models", settings)
    whispers = ["whisper", "whisper-background", "whisper-batch"]
    assert sorted(path.name for path in folder.iterdir()) == ["embedder", *whispers]
    for name in whispers:
        assert (folder / name / "1" / "model.py").samefile(model_repository.SOURCE / "whisper" / "1" / "model.py")
    assert model_repository.instances(folder) == {
        "embedder": 3, "whisper": 4, "whisper-background": 1, "whisper-batch": 1
    }  # fmt: skip
    model_repository.assemble(folder, settings | {"AI2TEXT_WHISPER_ONNX": "/models/whisper-base-onnx"})
    assert model_repository.instances(folder)["whisper"] == 1  # whose threads share what they know
    on_gpu = {"AI2TEXT_WHISPER_ONNX": "/models/whisper-base-onnx", "AI2TEXT_WHISPER_DEVICE": "cuda"}
    model_repository.assemble(folder, settings | on_gpu)
    assert model_repository.instances(folder)["whisper"] == 4
    model_repository.assemble(folder, {})
    assert (model_repository.SOURCE / "whisper" / "1" / "model.py").exists()


@pytest.mark.parametrize(("device", "together"), [("cpu", 8), ("cuda", 32)])
def test_recordings_are_decoded_many_at_once(tmp_path: Path, device: str, together: int) -> None:
    settings = {"AI2TEXT_WHISPER_DEVICE": device, "AI2TEXT_WHISPER_BATCH_SIZE": "3"}
    folder = model_repository.assemble(tmp_path / "models", settings)
    assert "\nmax_batch_size: 3\n" in (folder / "whisper" / "config.pbtxt").read_text()
    recorded = (folder / "whisper-batch" / "config.pbtxt").read_text()
    assert f"\nmax_batch_size: {together}\n" in recorded
    assert "max_queue_delay_microseconds: 100000" in recorded


def test_the_library_path_has_the_libraries_of_the_wheel_and_of_a_python_that_brings_its_own(
    installation: Installation, home: Home, tmp_path: Path
) -> None:
    assert environment(installation, home, {})["LD_LIBRARY_PATH"] == str(installation.libraries)
    own = tmp_path / "python" / "lib" / "libpython3.11.so.1.0"
    own.parent.mkdir(parents=True)
    own.touch()
    found = environment(installation, home, {"LD_LIBRARY_PATH": "/before"})["LD_LIBRARY_PATH"]
    assert found == f"{installation.libraries}:{own.parent}:/before"


def test_an_environment_without_triton_is_told_of(tmp_path: Path) -> None:
    assert "make setup" in Installation(tmp_path / "nowhere").missing()[0]


@pytest.mark.parametrize(
    ("library", "python", "fault"),
    [
        ("3.11.2", "3.11.2", None),
        ("3.11.9", "3.11.9", None),  # both upgraded since the environment was made
        ("3.11.0rc1", "3.11.0rc1", None),  # of which pyvenv.cfg has 3.11.0
        ("3.11.2", "3.11.999", "is Python 3.11.2 but the Python of .* is 3.11.999: remove "),
        ("3.11.2", "", "the Python of .* does not run: remove "),
    ],
)
def test_another_pythons_library_is_told_of(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, library: str, python: str, fault: str | None
) -> None:
    monkeypatch.setattr(triton, "_version_of", lambda _: library)
    if python:
        interpreter(installation, python)
    told = installation.missing()
    assert (len(told) == 1 and re.search(fault, told[0])) if fault else not told


def test_a_python_without_a_library_is_told_of(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton, "LIBPYTHON", "libpython3.11.so.none")
    assert "apt install libpython3.11" in installation.missing()[0]


@pytest.mark.parametrize("mark", [*" \t'\"\\$`&|;<>()[]{}*?"])
def test_a_home_that_the_shell_of_triton_would_misread_is_told_of(tmp_path: Path, mark: str) -> None:
    home = Home(tmp_path / f"a{mark}b", tmp_path / "models")
    [fault] = path_faults(home)
    assert repr(mark) in fault
    assert f"set AI2TEXT_HOME to a folder without such marks, not to {home.root}" in fault


def test_a_home_of_other_letters_and_marks_is_as_good_as_any(tmp_path: Path) -> None:
    home = Home(tmp_path / "tiếng-Việt_+1,~@%=.x#!", tmp_path / "the models")
    assert path_faults(home) == []
    said = subprocess.run(["bash", "-c", f"exec printf %s {home.triton}"], capture_output=True, text=True, check=True)
    assert said.stdout == str(home.triton)


def test_only_this_meshs_memory_is_removed(home: Home, tmp_path: Path) -> None:
    ours, theirs = tmp_path / f"{shared_memory_prefix(home)}1234", tmp_path / "ai2text_other_shm1234"
    ours.touch()
    theirs.touch()
    assert remove_leaked_memory(shared_memory_prefix(home), tmp_path) == [ours.name]
    assert theirs.exists()
    assert not ours.exists()


def test_the_prefix_of_one_home_is_not_the_beginning_of_anothers(tmp_path: Path) -> None:
    first, second = Home(tmp_path / "a", tmp_path), Home(tmp_path / "ab", tmp_path)
    assert not shared_memory_prefix(second).startswith(shared_memory_prefix(first))


def test_a_model_process_that_outlived_its_server_is_ended_and_its_program_replaced(
    installation: Installation, home: Home
) -> None:
    sleep = shutil.which("sleep")
    assert sleep
    shutil.copy(sleep, installation.server / "python_backend_stubs/3.11/triton_python_backend_stub")
    stub = assemble_backends(installation, home.triton)
    orphan = subprocess.Popen([str(stub), "60"])
    bystander = subprocess.Popen([sleep, "60"])
    try:
        assert assemble_backends(installation, home.triton) == stub  # though it is being executed
        assert end_orphans(stub) == [orphan.pid]
        assert orphan.wait(timeout=10) == -9
        assert bystander.poll() is None
        assert end_orphans(stub) == []
    finally:
        bystander.kill()
        bystander.wait()
