"""The process file: what runs in a local mesh, in which order, how it starts, what it needs, when it is well.

Everything else in this package reads this list: the supervisor's configuration, `status`, `doctor`, the watchdog.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mesh import canary, health, migrations, model_repository, nats, objects, postgres, replicas, starts, wheels
from mesh.edge import Edge, render
from mesh.home import Home
from mesh.keys import Keys
from mesh.ports import HOST, Ports
from mesh.wheels import BIN

TRITON_MODELS = ("whisper", "whisper-background", "whisper-batch", "embedder")
SERVICES = {
    "admin": ("ai2text.admin.v1.DeadLetterService",),
    "asr": ("ai2text.asr.v1.LiveSessionService", "ai2text.asr.v1.SpeechService"),
    "asr.batch": ("ai2text.asr.v1.SpeechService", "google.longrunning.Operations"),
    "embeddings": ("ai2text.embeddings.v1.EmbeddingService",),
    "ingestion": ("ai2text.ingestion.v1.IngestionService",),
    "metadata": (
        "ai2text.metadata.v1.RecordingService",
        "ai2text.metadata.v1.RetellingService",
        "ai2text.metadata.v1.TranscriptService",
    ),
    "nlp": ("ai2text.nlp.v1.TextService",),
    "search": ("ai2text.search.v1.IndexService", "ai2text.search.v1.SearchService"),
}
"""What each of our servers serves, by the full names of the contract."""
ASR_SHARE = 0.9
"""Of the speech model's time, what the finals of all stable `asr` together may need."""
SESSION_BUSY_ON_GPU = "0.002"
"""A final takes an H200 0.035 s, where it takes a core 0.25, and there are four instances, not two."""

NOBODY_WAITS_FOR = ("admin", "batch")
"""Servers whose work is beside that of the others."""
MAKES_WAY = 10


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
    niceness: int = 0
    """Of its process: what nobody waits for makes way for what somebody does (0 to 19)."""
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
            niceness=MAKES_WAY,
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
            does="Valkey: tickets of live sessions, which may be lost",
            command=_valkey_command(ports, home),
            ports=("valkey",),
            check=health.valkey(ports.valkey),
        ),
        Part(
            name="objects",
            does="SeaweedFS: the files that were uploaded (S3)",
            command=objects.command(home.objects, home.keys, ports),
            ports=(
                "objects",
                "objects_grpc",
                "objects_master",
                "objects_master_grpc",
                "objects_volume",
                "objects_volume_grpc",
                "objects_filer",
                "objects_filer_grpc",
            ),
            prepare=lambda: objects.ensure_credentials(home.keys),
            check=health.http(ports.objects, "/healthz", "takes files"),
            patience_s=60,
            stop_wait_s=3,  # it waits 15 s for streams of its own; what it has acknowledged survives even KILL
        ),
    ]


def _valkey_command(ports: Ports, home: Home) -> list[str]:
    """What has long not been asked for goes first: the ticket of a live session, written at each final, goes last."""
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
            check=health.triton(
                ports.triton_http,
                ports.triton_grpc,
                TRITON_MODELS,
                children=lambda: _children(home, "triton"),
                instances=lambda: model_repository.instances(home.triton / "models"),
            ),
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
        _server("embeddings", "vectors of texts (gRPC), and of each final", ("triton", "nats", "valkey"), ports, home),
        _server("admin", "dead letters (gRPC); backlogs, as metrics", ("nats",), ports, home),
        _server("ingestion", "uploads, and files that end (gRPC)", ("metadata", "objects", "nats"), ports, home),
        _server("nlp", "texts made better to read (gRPC)", (), ports, home),
        _server("search", "the index, and questions to it (gRPC)", ("embeddings", "nats", "valkey"), ports, home),
        _server("asr.batch", "recordings to text, and operations (gRPC)",
                ("triton", "metadata", "nlp", "postgres", "nats", "objects"), ports, home, "batch"),
        *(_asr(replica, version, ports, home) for replica, version in replicas.asr().items()),
    ]  # fmt: skip


def _asr(replica: str, version: str, ports: Ports, home: Home) -> Part:
    does = f"live and recorded speech to text, the {version} version (gRPC)"
    env = {"AI2TEXT_VERSION": version} | share_of_model(os.environ)
    return _server("asr", does, ("triton", "metadata", "nlp", "valkey"), ports, home, replica, env)


def share_of_model(environ: Mapping[str, str]) -> dict[str, str]:
    """What an `asr` is told of the model that it shares with the others, where `environ` does not say it itself."""
    stable = list(replicas.asr(environ).values()).count("stable")
    known = {"AI2TEXT_MAX_BUSY": f"{ASR_SHARE / stable:.3g}"}
    on_gpu = model_repository.is_on_gpu("whisper", environ)
    instances = model_repository.count(environ, "AI2TEXT_WHISPER_INSTANCES")
    if instances := instances or (model_repository.GPU_INSTANCES if on_gpu else ""):
        known["AI2TEXT_MODEL_INSTANCES"] = instances
    if on_gpu:
        known["AI2TEXT_SESSION_BUSY"] = SESSION_BUSY_ON_GPU
    return {name: value for name, value in known.items() if name not in environ}


def _server(
    name: str,
    does: str,
    needs: tuple[str, ...],
    ports: Ports,
    home: Home,
    replica: str = "",
    env: dict[str, str] | None = None,
    prepare: Callable[[], None] | None = None,
) -> Part:
    """The server in `servers/NAME`; `replica` is what its part is called when there are several."""
    part = replica or name
    port = replicas.port(part)
    own = {"AI2TEXT_LISTEN": ports.address(port), "AI2TEXT_METRICS_PORT": str(getattr(ports, f"{port}_metrics"))}
    return Part(
        name=part,
        does=does,
        command=[str(BIN / "python"), "-m", f"servers.{name}"],
        ports=(port, f"{port}_metrics"),
        env=own | addresses(ports, home) | (env or {}),
        needs=needs,
        prepare=prepare,
        niceness=MAKES_WAY if part in NOBODY_WAITS_FOR else 0,
        check=health.grpc_server(getattr(ports, port), SERVICES[name]),
        patience_s=90,
        stop_wait_s=30,  # asr gives its sessions 8 s to go elsewhere, and its calls 10 s to end
    )


def addresses(ports: Ports, home: Home) -> dict[str, str]:
    """Where the servers find each other and everything else."""
    s3 = objects.credentials(home.keys)
    return {
        "AI2TEXT_LOG_LEVEL": os.environ.get("AI2TEXT_LOG_LEVEL", "info"),
        "AI2TEXT_OTLP_ENDPOINT": f"http://{ports.address('otlp_grpc')}",
        "AI2TEXT_NATS_URL": f"nats://{ports.address('nats')}",
        "AI2TEXT_VALKEY_URL": f"valkey://{ports.address('valkey')}",
        "AI2TEXT_POSTGRES_DSN": postgres.dsn(ports.postgres, postgres.APP),
        "AI2TEXT_TRITON": ports.address("triton_grpc"),
        "AI2TEXT_METADATA": ports.address("metadata"),
        "AI2TEXT_NLP": ports.address("nlp"),
        "AI2TEXT_ACCENTS_LEXICON": str(home.models / "accents-vi"),
        "AI2TEXT_EMBEDDINGS": ports.address("embeddings"),
        "AI2TEXT_DATA_DIR": str(home.search),
        "AI2TEXT_S3_ENDPOINT": f"http://{ports.address('objects')}",
        "AI2TEXT_S3_BUCKET": objects.BUCKET,
        "AI2TEXT_S3_ACCESS_KEY": s3.access_key,
        "AI2TEXT_S3_SECRET_KEY": s3.secret_key,
    }


def _edge(ports: Ports, home: Home) -> Part:
    config = home.run / "envoy.yaml"

    def prepare() -> None:
        Keys(home.keys).ensure()
        config.write_text(render(Edge.local(ports, home, canary.weight(home))), encoding="utf-8")

    return Part(
        name="envoy",
        does="Envoy: the one address that clients call",
        command=[str(BIN / "envoy"), "-c", str(config), "--disable-hot-restart", "--concurrency", "2"],
        ports=("edge", "envoy_admin"),
        needs=(*replicas.asr(), "metadata", "embeddings", "search", "nlp", "ingestion", "admin", "batch"),
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
