"""The mesh's object store: SeaweedFS, all of its parts in one process, with S3 in front."""

import contextlib
import json
import os
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from mesh import wheels
from mesh.ports import HOST, Ports

BUCKET = "ai2text"
VOLUME_MIB = 256


@dataclass(frozen=True)
class Credentials:
    """As whom the servers call the store."""

    access_key: str = ""
    secret_key: str = field(default="", repr=False)


def config_file(keys: Path) -> Path:
    """Who may call S3, in the form that SeaweedFS reads; readable by its owner only."""
    return keys / "objects.json"


def ensure_credentials(keys: Path) -> None:
    """Makes credentials, unless there are some; of several processes that try at once one prevails."""
    if config_file(keys).exists():
        return
    pair = {"accessKey": secrets.token_hex(10), "secretKey": secrets.token_urlsafe(32)}
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    config = {"identities": [{"name": "ai2text", "credentials": [pair], "actions": actions}]}
    descriptor, draft = tempfile.mkstemp(dir=keys, prefix="objects.")  # readable by its owner only
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2)
    with contextlib.suppress(FileExistsError):
        os.link(draft, config_file(keys))
    os.unlink(draft)


def credentials(keys: Path) -> Credentials:
    """Those that were made; empty ones before the first start."""
    try:
        text = config_file(keys).read_text(encoding="utf-8")
    except FileNotFoundError:
        return Credentials()
    pair = json.loads(text)["identities"][0]["credentials"][0]
    return Credentials(pair["accessKey"], pair["secretKey"])


def command(data: Path, keys: Path, ports: Ports) -> list[str]:
    """The server's argument vector: everything on 127.0.0.1, nothing told to anybody outside.

    The bucket's data is in volumes that grow to VOLUME_MIB each, as many as the disk holds; a bucket begins with seven.
    The election waits for other masters, of which there are none: a second is enough.
    """
    options: dict[str, str | int] = {
        "dir": str(data),
        "ip": HOST,
        "ip.bind": HOST,
        "master.port": ports.objects_master,
        "master.port.grpc": ports.objects_master_grpc,
        "master.electionTimeout": "1s",
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": VOLUME_MIB,
        "volume.port": ports.objects_volume,
        "volume.port.grpc": ports.objects_volume_grpc,
        "volume.max": 0,
        "volume.preStopSeconds": 0,
        "filer": "true",
        "filer.port": ports.objects_filer,
        "filer.port.grpc": ports.objects_filer_grpc,
        "filer.disableHttp": "true",
        "s3": "true",
        "s3.port": ports.objects,
        "s3.port.grpc": ports.objects_grpc,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.config": str(config_file(keys)),
        "s3.iam": "false",
    }
    words = (f"-{name}={value}" for name, value in options.items())
    return [str(wheels.BIN / "weed"), "-logtostderr=true", "server", *words]
