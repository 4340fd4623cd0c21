"""How long the edge waits, as a running Envoy has understood it: for a request, for a sign of life, for an answer."""

from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from mesh.edge import Edge
from mesh.home import Home
from mesh.keys import Keys
from servers.asr.pushing import PushLimits
from servers.ingestion.parts import READ_S, SLOWEST_BYTES_PER_S
from servers.ingestion.probing import TIME_LIMIT_S
from servers.ingestion.settings import Settings
from tests.free_ports import free_ports
from tests.unit.running_envoy import running


@dataclass(frozen=True)
class Times:
    """Of one route, in seconds; 0 sets no limit."""

    answer_s: float
    idle_s: float


@dataclass(frozen=True)
class Manager:
    """What reads requests and finds routes for them."""

    config: dict[str, Any]

    def seconds(self, name: str) -> float:
        return float(self.config[name].removesuffix("s"))

    def times(self, path: str) -> Times:
        """Of the first route that fits the path, as Envoy chooses it."""
        return next(times for match, times in self.routes() if match.get("path") == path or _begins(path, match))

    def routes(self) -> list[tuple[dict[str, Any], Times]]:
        [host] = self.config["route_config"]["virtual_hosts"]
        idle_s = self.seconds("stream_idle_timeout")
        return [
            (
                each["match"],
                Times(
                    _seconds(each["route"].get("timeout", "15s")), _seconds(each["route"].get("idle_timeout", idle_s))
                ),
            )
            for each in host["routes"]
            if "route" in each
        ]


def _begins(path: str, match: dict[str, Any]) -> bool:
    return "prefix" in match and path.startswith(match["prefix"])


def _seconds(given: str | float) -> float:
    return float(str(given).removesuffix("s"))


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Manager:
    folder = tmp_path_factory.mktemp("edge")
    home, ports = Home.from_env({"AI2TEXT_HOME": str(folder)}), free_ports()
    Keys(home.keys).ensure()
    with running(folder, Edge.local(ports, home)):
        query = {"resource": "static_listeners"}
        [listener] = httpx.get(f"http://127.0.0.1:{ports.envoy_admin}/config_dump", params=query).json()["configs"]
    [chain] = listener["listener"]["filter_chains"]
    return Manager(chain["filters"][0]["typed_config"])


def test_who_does_not_finish_saying_what_it_wants_holds_no_connection(manager: Manager) -> None:
    assert manager.seconds("request_headers_timeout") == 10
    assert manager.seconds("stream_idle_timeout") == 60
    assert manager.config["common_http_protocol_options"]["idle_timeout"] == "300s"


def test_no_answer_may_take_longer_than_its_call_may_be_silent(manager: Manager) -> None:
    assert [match for match, times in manager.routes() if times.answer_s >= times.idle_s] == []


@pytest.mark.parametrize("method", ["SpeechService/StreamingRecognize", "LiveSessionService/WatchSession"])
def test_live_speech_may_be_silent_for_an_hour(manager: Manager, method: str) -> None:
    assert manager.times(f"/ai2text.asr.v1.{method}") == Times(0, 3600)


def test_a_session_is_closed_before_the_edge_has_enough_of_it(manager: Manager) -> None:
    closing = manager.times("/ai2text.asr.v1.LiveSessionService/CloseSession")
    assert closing.answer_s >= PushLimits().last_final_s + 10


def test_an_upload_of_any_size_is_completed_before_the_edge_has_enough_of_it(manager: Manager) -> None:
    largest = Settings.model_fields["max_file_bytes"].default
    completing = manager.times("/ai2text.ingestion.v1.IngestionService/CompleteUpload")
    assert completing.answer_s >= READ_S + largest / SLOWEST_BYTES_PER_S + TIME_LIMIT_S
