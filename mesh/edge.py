"""The edge's configuration: `envoy/envoy.yaml` with the values of one environment filled in."""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.json_format import MessageToJson
from google.rpc import code_pb2, error_details_pb2, status_pb2

from mesh import replicas
from mesh.home import REPOSITORY, Home
from mesh.keys import AUDIENCE, ISSUER
from mesh.percent import percent
from mesh.ports import HOST, Ports

SOURCE = REPOSITORY / "envoy" / "envoy.yaml"
DESCRIPTOR = REPOSITORY / "gen" / "descriptor.binpb"
LOCAL_ORIGINS = r"https?://(localhost|127\.0\.0\.1)(:\d+)?"

AWAY = "the server behind this method is away; try again in a second"

Value = int | str | dict[str, Any] | list[dict[str, Any]]


@dataclass(frozen=True)
class Endpoint:
    """Where an upstream listens."""

    host: str
    port: int

    def socket_address(self) -> dict[str, Any]:
        """The form that Envoy reads."""
        return {"address": self.host, "port_value": self.port}

    def of_version(self, version: str) -> dict[str, Any]:
        """The same as a cluster's endpoint, with the version that runs there."""
        return {
            "endpoint": {"address": {"socket_address": self.socket_address()}},
            "metadata": {"filter_metadata": {"ai2text": {"version": version}}},
        }


@dataclass(frozen=True)
class Edge:
    """What differs from one environment's edge to the next."""

    listen: Endpoint
    admin_port: int
    asr_stable: tuple[Endpoint, ...]
    asr_canary: tuple[Endpoint, ...]
    metadata: Endpoint
    embeddings: Endpoint
    search: Endpoint
    nlp: Endpoint
    ingestion: Endpoint
    batch: Endpoint
    admin: Endpoint
    otlp: Endpoint
    jwks: Path
    descriptor: Path
    issuer: str
    audience: str
    origins: str
    sampling: int
    max_requests_per_second: int
    canary_weight: int = 0
    """Per cent of the calls to asr that go to the canary, of those that name no version."""

    @classmethod
    def local(cls, ports: Ports, home: Home, canary_weight: int = 0) -> "Edge":
        """The edge of a mesh on this machine: any page on localhost may call."""
        return cls(
            listen=Endpoint(HOST, ports.edge),
            admin_port=ports.envoy_admin,
            asr_stable=_asr(ports, "stable"),
            asr_canary=_asr(ports, "canary"),
            metadata=Endpoint(HOST, ports.metadata),
            embeddings=Endpoint(HOST, ports.embeddings),
            search=Endpoint(HOST, ports.search),
            nlp=Endpoint(HOST, ports.nlp),
            ingestion=Endpoint(HOST, ports.ingestion),
            batch=Endpoint(HOST, ports.batch),
            admin=Endpoint(HOST, ports.admin),
            otlp=Endpoint(HOST, ports.otlp_grpc),
            jwks=home.keys / "jwks.json",
            descriptor=DESCRIPTOR,
            issuer=ISSUER,
            audience=AUDIENCE,
            origins=LOCAL_ORIGINS,
            sampling=sampling(),
            max_requests_per_second=5000,
            canary_weight=canary_weight,
        )

    def values(self) -> dict[str, Value]:
        """The value of each name that the source may use."""
        upstreams = ("metadata", "embeddings", "search", "nlp", "ingestion", "batch", "admin", "otlp")
        return {
            "listen_host": self.listen.host,
            "listen_port": self.listen.port,
            "admin_port": self.admin_port,
            "jwks": str(self.jwks),
            "descriptor": str(self.descriptor),
            "issuer": self.issuer,
            "audience": self.audience,
            "origins": self.origins,
            "sampling": self.sampling,
            "max_requests_per_second": self.max_requests_per_second,
            "asr_stable": [replica.of_version("stable") for replica in self.asr_stable],
            "asr_canary": [replica.of_version("canary") for replica in self.asr_canary],
            "canary_weight": self.canary_weight,
            "away_message": AWAY,
            "away_details": base64.b64encode(_away().SerializeToString()).decode(),
            "away_json": json.loads(MessageToJson(_away())),
        } | {name: getattr(self, name).socket_address() for name in upstreams}


def _asr(ports: Ports, version: str) -> tuple[Endpoint, ...]:
    running = [replica for replica, its_version in replicas.asr().items() if its_version == version]
    return tuple(Endpoint(HOST, getattr(ports, replicas.port(replica))) for replica in running)


def sampling(environ: Mapping[str, str] | None = None) -> int:
    """How many per cent of the requests are traced that bring no trace of their own: AI2TEXT_TRACE_PERCENT, else all.

    Raises ValueError when that is no whole number from 0 to 100.
    """
    given = (os.environ if environ is None else environ).get("AI2TEXT_TRACE_PERCENT", "")
    return percent("AI2TEXT_TRACE_PERCENT", given) if given else 100


def _away() -> status_pb2.Status:
    """What a server would say of itself if it were there, so that clients know one form of UNAVAILABLE."""
    status = status_pb2.Status(code=code_pb2.UNAVAILABLE, message=AWAY)
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(
            reason="ERROR_REASON_DEPENDENCY_UNAVAILABLE", domain="ai2text", metadata={"dependency": "server"}
        )
    )
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromSeconds(1)
    status.details.add().Pack(retry)
    return status


class _Expanded(yaml.SafeDumper):
    """Writes every anchor out: Envoy's reader refuses merge keys."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def render(edge: Edge, source: Path = SOURCE) -> str:
    """Envoy's configuration for `edge`, as YAML without anchors.

    Raises KeyError when the source uses a name that an Edge does not have.
    """
    filled = _fill(yaml.safe_load(source.read_text(encoding="utf-8")), edge.values())
    return yaml.dump(filled, Dumper=_Expanded, sort_keys=False, width=200)


def _fill(node: Any, values: Mapping[str, Value]) -> Any:
    """A scalar that is `${name}` and nothing else becomes the value itself, so numbers stay numbers."""
    if isinstance(node, dict):
        return {key: _fill(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill(value, values) for value in node]
    if isinstance(node, str) and node.startswith("${") and node.endswith("}"):
        return values[node[2:-1]]
    return node
