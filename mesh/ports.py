"""Which port each part of a mesh listens on: one base, a fixed offset for each, all on 127.0.0.1."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from mesh.home import Home

HOST = "127.0.0.1"
DEFAULT_BASE = 8080

_OFFSETS = {
    "edge": 0,
    "envoy_admin": 1,
    "postgres": 2,
    "valkey": 3,
    "nats": 4,
    "nats_monitor": 5,
    "triton_http": 6,
    "triton_grpc": 7,
    "triton_metrics": 8,
    "otlp_grpc": 9,
    "otlp_http": 10,
    "supervisor": 11,
    "objects": 12,
    "objects_master": 13,
    "objects_volume": 14,
    "objects_filer": 15,
    "objects_grpc": 16,
    "objects_master_grpc": 17,
    "objects_volume_grpc": 18,
    "objects_filer_grpc": 19,
    "asr_1": 20,
    "asr_1_metrics": 21,
    "metadata": 22,
    "metadata_metrics": 23,
    "embeddings": 24,
    "embeddings_metrics": 25,
    "search": 26,
    "search_metrics": 27,
    "asr_2": 28,
    "asr_2_metrics": 29,
    "asr_canary": 30,
    "asr_canary_metrics": 31,
    "ingestion": 32,
    "ingestion_metrics": 33,
    "batch": 34,
    "batch_metrics": 35,
    "nlp": 36,
    "nlp_metrics": 37,
    "admin": 38,
    "admin_metrics": 39,
    "asr_3": 40,
    "asr_3_metrics": 41,
    "asr_4": 42,
    "asr_4_metrics": 43,
    "asr_5": 44,
    "asr_5_metrics": 45,
    "asr_6": 46,
    "asr_6_metrics": 47,
    "asr_7": 48,
    "asr_7_metrics": 49,
    "asr_8": 50,
    "asr_8_metrics": 51,
    "web": 52,
}
SPAN = max(_OFFSETS.values())


@dataclass(frozen=True)
class Ports:
    """The ports of one mesh. Two meshes on one machine differ only in their base and their home folder."""

    edge: int
    envoy_admin: int
    postgres: int
    valkey: int
    nats: int
    nats_monitor: int
    triton_http: int
    triton_grpc: int
    triton_metrics: int
    otlp_grpc: int
    otlp_http: int
    supervisor: int
    objects: int
    objects_master: int
    objects_volume: int
    objects_filer: int
    objects_grpc: int
    objects_master_grpc: int
    objects_volume_grpc: int
    objects_filer_grpc: int
    asr_1: int
    asr_1_metrics: int
    metadata: int
    metadata_metrics: int
    embeddings: int
    embeddings_metrics: int
    search: int
    search_metrics: int
    asr_2: int
    asr_2_metrics: int
    asr_canary: int
    asr_canary_metrics: int
    ingestion: int
    ingestion_metrics: int
    batch: int
    batch_metrics: int
    nlp: int
    nlp_metrics: int
    admin: int
    admin_metrics: int
    asr_3: int
    asr_3_metrics: int
    asr_4: int
    asr_4_metrics: int
    asr_5: int
    asr_5_metrics: int
    asr_6: int
    asr_6_metrics: int
    asr_7: int
    asr_7_metrics: int
    asr_8: int
    asr_8_metrics: int
    web: int
    """The page for live captions, which is no part of the mesh: `make web` serves it."""

    @classmethod
    def from_base(cls, base: int) -> "Ports":
        """The ports above `base`, which must leave room for all of them.

        Raises ValueError when `base` is below 1024 (an ordinary user cannot bind it) or too near 65535.
        """
        if not 1024 <= base <= 65535 - SPAN:
            raise ValueError(f"the port base must lie between 1024 and {65535 - SPAN}, not {base}")
        return cls(**{name: base + offset for name, offset in _OFFSETS.items()})

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Ports":
        """The ports above AI2TEXT_PORT_BASE (default 8080). Raises ValueError when it is no usable number."""
        given = (os.environ if environ is None else environ).get("AI2TEXT_PORT_BASE", str(DEFAULT_BASE))
        if not given.isdigit():
            raise ValueError(f"AI2TEXT_PORT_BASE must be a number, not {given!r}")
        return cls.from_base(int(given))

    @classmethod
    def of(cls, home: Home, environ: Mapping[str, str] | None = None) -> "Ports":
        """Those of AI2TEXT_PORT_BASE; without it those that the mesh of `home` last started on, else the default.

        Raises ValueError as `from_env` does.
        """
        env = os.environ if environ is None else environ
        recorded = None if "AI2TEXT_PORT_BASE" in env else cls.recorded(home)
        return recorded or cls.from_env(env)

    @classmethod
    def recorded(cls, home: Home) -> "Ports | None":
        """Those with which the mesh of `home` was last started; None when it never was, or its note is damaged."""
        try:
            return cls.from_base(int(_record(home).read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError):
            return None

    def remember(self, home: Home) -> None:
        """Let `of` find these ports again."""
        _record(home).write_text(str(self.base), encoding="utf-8")

    @property
    def base(self) -> int:
        """The number that the others are counted from."""
        return self.edge

    def address(self, name: str) -> str:
        """`127.0.0.1:PORT` of the port called `name`. Raises AttributeError when there is none."""
        port: int = getattr(self, name)
        return f"{HOST}:{port}"

    def names(self) -> dict[str, int]:
        """Every port by its name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _record(home: Home) -> Path:
    return home.run / "port_base"
