"""Where the edge is: an http:// or https:// address without a path."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from clients.cli.problem import UsageProblem

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Endpoint:
    """One address; `tls` says whether the channel is encrypted."""

    host: str
    port: int
    tls: bool

    @classmethod
    def parse(cls, address: str) -> "Endpoint":
        """Reads `http://HOST:PORT`, `https://HOST[:PORT]` or `HOST:PORT`. Raises UsageProblem for anything else."""
        try:
            parts = urlsplit(address if "://" in address else f"http://{address}")
            port = parts.port
        except ValueError:
            raise _malformed(address) from None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise _malformed(address)
        return cls(parts.hostname, port or (443 if parts.scheme == "https" else 80), parts.scheme == "https")

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return self.host in LOCAL_HOSTS

    @property
    def target(self) -> str:
        """`host:port`, as gRPC wants it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.target}"


def _malformed(address: str) -> UsageProblem:
    return UsageProblem(f"{address!r} is no address of an edge.", "It looks like http://127.0.0.1:8080.")
