"""The configuration of the mesh's NATS server."""

import json
from pathlib import Path

from mesh.ports import HOST, Ports


def write_config(path: Path, store: Path, ports: Ports) -> None:
    """Writes a configuration (NATS reads JSON): JetStream in `store`, at most 4 GiB of it, monitored over HTTP.

    What JetStream has acknowledged is on the disk: it syncs each write, not every two minutes as by default.
    """
    config = {
        "server_name": "ai2text",
        "listen": ports.address("nats"),
        "http": f"{HOST}:{ports.nats_monitor}",
        "jetstream": {
            "store_dir": str(store),
            "max_memory_store": 256 << 20,
            "max_file_store": 4 << 30,
            "sync_interval": "always",
        },
        "max_payload": 1 << 20,
    }
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
