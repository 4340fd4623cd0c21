"""The process file, and what the supervisor is told about it."""

import configparser
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from mesh.edge import Edge, render
from mesh.health import Health, State
from mesh.home import Home
from mesh.launch import environment
from mesh.parts import Part, named, parts
from mesh.ports import Ports
from mesh.supervision import Process, write_config
from mesh.watchdog import SILENCE_S, Silences


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home.from_env({"AI2TEXT_HOME": str(tmp_path / "100%")})
    home.create()
    return home


@pytest.fixture
def ports() -> Ports:
    return Ports.from_base(9000)


def test_parts_need_only_parts_that_there_are(home: Home, ports: Ports) -> None:
    all_parts = parts(ports, home)
    names = [part.name for part in all_parts]
    assert len(set(names)) == len(names)
    for part in all_parts:
        assert set(part.needs) <= set(names)


def test_a_part_starts_after_the_stores_it_needs(home: Home, ports: Ports) -> None:
    names = [part.name for part in parts(ports, home)]
    assert names.index("postgres") < names.index("metadata") < names.index("envoy") < names.index("watchdog")


def test_no_port_belongs_to_two_parts(home: Home, ports: Ports) -> None:
    claimed = [name for part in parts(ports, home) for name in part.ports]
    assert len(set(claimed)) == len(claimed)
    assert set(claimed) < set(ports.names())


def test_a_server_is_told_where_the_others_are(home: Home, ports: Ports) -> None:
    env = environment(named("search", ports, home))
    assert env["AI2TEXT_LISTEN"] == "127.0.0.1:9026"
    assert env["AI2TEXT_TRITON"] == "127.0.0.1:9007"
    assert env["AI2TEXT_VALKEY_URL"] == "valkey://127.0.0.1:9003"
    assert env["AI2TEXT_POSTGRES_DSN"] == "postgresql://ai2text_app@127.0.0.1:9002/ai2text"


@pytest.mark.parametrize(
    ("replica", "port", "version"),
    [("asr-1", 9020, "stable"), ("asr-2", 9028, "stable"), ("asr-canary", 9030, "canary")],
)
def test_a_replica_has_ports_and_a_version_of_its_own(
    home: Home, ports: Ports, replica: str, port: int, version: str
) -> None:
    part = named(replica, ports, home)
    assert part.command[1:] == ["-m", "servers.asr"]
    assert (part.env["AI2TEXT_LISTEN"], part.env["AI2TEXT_METRICS_PORT"]) == (f"127.0.0.1:{port}", str(port + 1))
    assert part.env["AI2TEXT_VERSION"] == version


def test_what_nobody_waits_for_makes_way(home: Home, ports: Ports) -> None:
    polite = {part.name for part in parts(ports, home) if part.niceness > 0}
    assert polite == {"traces", "admin", "batch"}


def test_the_supervisors_configuration(home: Home, ports: Ports) -> None:
    path = write_config(home, ports, parts(ports, home))
    assert path.stat().st_mode & 0o077 == 0
    config = configparser.RawConfigParser()
    config.read(path)
    assert config["inet_http_server"]["port"] == "127.0.0.1:9011"
    assert len(config["inet_http_server"]["password"]) == 48
    assert config["program:asr-1"]["autorestart"] == "true"
    assert "100%%" in config["program:asr-1"]["stdout_logfile"]


def test_a_part_starts_from_a_folder_with_spaces_in_its_name(
    home: Home, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.supervision.BIN", Path("/my projects/ai2text/.venv/bin"))
    config = configparser.RawConfigParser()
    config.read(write_config(home, ports, parts(ports, home)))
    command = shlex.split(config["program:asr-1"]["command"])  # as the supervisor does
    assert command == ["/my projects/ai2text/.venv/bin/python", "-m", "mesh.launch", "asr-1"]


def test_the_rendered_edge_has_values_and_no_anchors(home: Home, ports: Ports) -> None:
    text = render(Edge.local(ports, home))
    assert "${" not in text
    assert "<<" not in text
    listener = yaml.safe_load(text)["static_resources"]["listeners"][0]
    assert listener["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 9000}


def replicas(level: dict[str, Any]) -> list[tuple[str, int]]:
    """The version and the port of each endpoint of one priority."""
    return [
        (
            endpoint["metadata"]["filter_metadata"]["ai2text"]["version"],
            endpoint["endpoint"]["address"]["socket_address"]["port_value"],
        )
        for endpoint in level["lb_endpoints"]
    ]


def test_each_version_of_asr_has_a_cluster_that_falls_back_on_the_other(home: Home, ports: Ports) -> None:
    clusters = yaml.safe_load(render(Edge.local(ports, home)))["static_resources"]["clusters"]
    levels = {cluster["name"]: cluster["load_assignment"]["endpoints"] for cluster in clusters}
    stable, canary = [("stable", 9020), ("stable", 9028)], [("canary", 9030)]
    assert [replicas(level) for level in levels["asr"]] == [stable, canary]
    assert [replicas(level) for level in levels["asr_canary"]] == [canary, stable]
    assert [level.get("priority", 0) for level in levels["asr"] + levels["asr_canary"]] == [0, 1, 0, 1]


def test_the_edge_starts_with_the_weight_that_it_is_given(home: Home, ports: Ports) -> None:
    layers = yaml.safe_load(render(Edge.local(ports, home, canary_weight=25)))["layered_runtime"]["layers"]
    assert layers[0]["static_layer"]["ai2text.canary_weight"] == 25


def test_the_edge_source_may_not_use_an_unknown_name(home: Home, ports: Ports, tmp_path: Path) -> None:
    source = tmp_path / "envoy.yaml"
    source.write_text("node: {id: '${nobody}'}")
    with pytest.raises(KeyError, match="nobody"):
        render(Edge.local(ports, home), source)


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def part(patience_s: float = 30) -> Part:
    return Part("asr", "speech", ["true"], check=lambda: Health(State.WELL, ""), patience_s=patience_s)


def process(uptime_s: int = 100, state: str = "RUNNING") -> Process:
    return Process("asr", state, 1, uptime_s, "")


def test_the_watchdog_kills_what_has_long_been_silent() -> None:
    clock = Clock()
    silences = Silences(clock)
    assert not silences.hopeless(part(), process(), State.SILENT)
    clock.now = SILENCE_S - 1
    assert not silences.hopeless(part(), process(), State.SILENT)
    clock.now = SILENCE_S
    assert silences.hopeless(part(), process(), State.SILENT)
    assert not silences.hopeless(part(), process(), State.SILENT)


def test_one_answer_ends_a_silence() -> None:
    clock = Clock()
    silences = Silences(clock)
    silences.hopeless(part(), process(), State.SILENT)
    silences.hopeless(part(), process(), State.UNREADY)
    clock.now = SILENCE_S
    assert not silences.hopeless(part(), process(), State.SILENT)


@pytest.mark.parametrize("young", [process(uptime_s=29), process(state="STARTING"), process(state="BACKOFF")])
def test_a_part_that_is_starting_is_left_alone(young: Process) -> None:
    clock = Clock()
    silences = Silences(clock)
    silences.hopeless(part(), young, State.SILENT)
    clock.now = 10 * SILENCE_S
    assert not silences.hopeless(part(), young, State.SILENT)


def test_what_is_broken_for_good_is_killed_at_once_but_not_twice() -> None:
    silences = Silences(Clock())
    assert silences.hopeless(part(), process(uptime_s=3), State.BROKEN)
    assert not silences.hopeless(part(), process(state="STARTING"), State.BROKEN)
