"""The process file: what runs in a local mesh, in which order, how it starts, what it needs, when it is well.

Everything else in this package reads this list: the supervisor's configuration, `status`, `doctor`, the watchdog.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mesh import health, migrations, nats, postgres, starts, wheels
from mesh.edge import Edge, render
from mesh.home import Home
from mesh.keys import Keys
from mesh.ports import HOST, Ports
from mesh.wheels import BIN

TRITON_MODELS = ("whisper", "embedder")
SERVICES = {
    "asr": ("ai2text.asr.v1.SpeechService",),
    "embeddings": ("ai2text.embeddings.v1.EmbeddingService",),
    "metadata": ("ai2text.metadata.v1.RecordingService", "ai2text.metadata.v1.TranscriptService"),
    "search": ("ai2text.search.v1.SearchService",),
}
"""What each of our servers serves, by the full names of the contract."""


@dataclass(frozen=True)
class Part:
    """One process of the mesh under the supervisor."""

    name: str
    does: str
    """What it is for, in a few words."""
    command: list[str]
    check: health.Check
    ports: tuple[str, ...] = ()
    """The names in Ports that it listens on."""
    env: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    """The parts that it works with. It starts without them, except for what `prepare` waits for."""
    prepare: Callable[[], None] | None = None
    """Runs before each start, in the process that then becomes the part."""
    user: str | None = None
    """Whom to become before the command runs; None stays who we are."""
    patience_s: float = 30
    """How long after its start silence is not yet a fault."""
    stop_signal: str = "TERM"
    stop_wait_s: int = 15
    kill_signal: str = "KILL"
    """What the watchdog sends to one that no longer answers."""


def parts(ports: Ports, home: Home) -> list[Part]:
    """The parts in the order of their start; they stop in reverse."""
    return [*_stores(ports, home), *_engines(ports, home), *_servers(ports, home), _edge(ports, home), _watchdog()]


def named(name: str, ports: Ports, home: Home) -> Part:
    """The part called `name`. Raises KeyError when there is none."""
    return {part.name: part for part in parts(ports, home)}[name]


def _stores(ports: Ports, home: Home) -> list[Part]:
    return [
        Part(
            name="traces",
            does="collects spans (OTLP) into traces/spans.jsonl",
            command=[str(BIN / "python"), "-m", "mesh.collector"],
            ports=("otlp_grpc", "otlp_http"),
            check=health.http(ports.otlp_http, "/healthz", "collects spans"),
        ),
        Part(
            name="postgres",
            does="PostgreSQL: recordings, transcripts, outbox",
            command=postgres.command(home.postgres, ports.postgres),
            ports=("postgres",),
            prepare=lambda: postgres.prepare(home.postgres),
            user=postgres.system_user(),
            check=health.postgres(ports.postgres, postgres.dsn(ports.postgres, postgres.APP)),
            patience_s=60,
            stop_signal="INT",
            stop_wait_s=30,
            kill_signal="QUIT",
        ),
        Part(
            name="nats",
            does="NATS JetStream: events",
            command=[str(BIN / "nats-server"), "--config", str(home.run / "nats.conf")],
            ports=("nats", "nats_monitor"),
            prepare=lambda: nats.write_config(home.run / "nats.conf", home.nats, ports),
            check=health.http(ports.nats_monitor, "/healthz", "JetStream is ready"),
            patience_s=60,
        ),
        Part(
            name="valkey",
            does="Valkey: for what may be lost (no server uses it yet)",
            command=_valkey_command(ports, home),
            ports=("valkey",),
            check=health.valkey(ports.valkey),
        ),
    ]


def _valkey_command(ports: Ports, home: Home) -> list[str]:
    settings = {
        "bind": HOST, "port": str(ports.valkey), "dir": str(home.valkey), "save": "60 1000", "appendonly": "no",
        "maxmemory": "256mb", "maxmemory-policy": "allkeys-lru",
    }  # fmt: skip
    return [str(wheels.valkey()), *(word for name, value in settings.items() for word in (f"--{name}", value))]


def _engines(ports: Ports, home: Home) -> list[Part]:
    return [
        Part(
            name="triton",
            does="Triton: the speech and the embedding model",
            command=[str(BIN / "python"), "-m", "mesh.triton"],
            ports=("triton_http", "triton_grpc", "triton_metrics"),
            check=health.triton(ports.triton_http, TRITON_MODELS, lambda: _children(home, "triton")),
            patience_s=180,
            stop_wait_s=30,
        )
    ]


def _children(home: Home, name: str) -> list[str]:
    start = starts.read(home, name)
    return start.children() if start else []


def _servers(ports: Ports, home: Home) -> list[Part]:
    return [
        _server("metadata", "recordings and transcripts (gRPC)", ("postgres", "nats"), ports, home,
                prepare=lambda: migrations.apply(postgres.dsn(ports.postgres, postgres.OWNER))),
        _server("embeddings", "vectors of texts (gRPC), and of each final", ("triton", "nats"), ports, home),
        _server("search", "the index, and questions to it (gRPC)", ("embeddings", "nats"), ports, home),
        _server("asr", "live and recorded speech to text (gRPC)", ("triton", "metadata"), ports, home),
    ]  # fmt: skip


def _server(
    name: str,
    does: str,
    needs: tuple[str, ...],
    ports: Ports,
    home: Home,
    prepare: Callable[[], None] | None = None,
) -> Part:
    own = {"AI2TEXT_LISTEN": ports.address(name), "AI2TEXT_METRICS_PORT": str(getattr(ports, f"{name}_metrics"))}
    return Part(
        name=name,
        does=does,
        command=[str(BIN / "python"), "-m", f"servers.{name}"],
        ports=(name, f"{name}_metrics"),
        env=own | addresses(ports, home),
        needs=needs,
        prepare=prepare,
        check=health.grpc_server(getattr(ports, name), SERVICES[name]),
        patience_s=90,
        stop_wait_s=20,
    )


def addresses(ports: Ports, home: Home) -> dict[str, str]:
    """Where the servers find each other and everything else."""
    return {
        "AI2TEXT_LOG_LEVEL": os.environ.get("AI2TEXT_LOG_LEVEL", "info"),
        "AI2TEXT_OTLP_ENDPOINT": f"http://{ports.address('otlp_grpc')}",
        "AI2TEXT_NATS_URL": f"nats://{ports.address('nats')}",
        "AI2TEXT_POSTGRES_DSN": postgres.dsn(ports.postgres, postgres.APP),
        "AI2TEXT_TRITON": ports.address("triton_grpc"),
        "AI2TEXT_METADATA": ports.address("metadata"),
        "AI2TEXT_EMBEDDINGS": ports.address("embeddings"),
        "AI2TEXT_DATA_DIR": str(home.search),
    }


def _edge(ports: Ports, home: Home) -> Part:
    config = home.run / "envoy.yaml"

    def prepare() -> None:
        Keys(home.keys).ensure()
        config.write_text(render(Edge.local(ports, home)), encoding="utf-8")

    return Part(
        name="envoy",
        does="Envoy: the one address that clients call",
        command=[str(BIN / "envoy"), "-c", str(config), "--disable-hot-restart", "--concurrency", "2"],
        ports=("edge", "envoy_admin"),
        needs=("asr", "metadata", "embeddings", "search"),
        prepare=prepare,
        check=health.http(ports.envoy_admin, "/ready", "takes calls"),
    )


def _watchdog() -> Part:
    return Part(
        name="watchdog",
        does="restarts a part that no longer answers, and the supervisor itself",
        command=[str(BIN / "python"), "-m", "mesh.watchdog"],
        check=health.alive,
    )
