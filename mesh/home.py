"""The one folder in which a mesh keeps everything: data, keys, logs, what runs."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Home:
    """The folders of one mesh. Nothing is created before `create()`."""

    root: Path
    models: Path

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Home":
        """AI2TEXT_HOME, default `.mesh` in the repository; AI2TEXT_MODELS, default `models` in the home."""
        env = os.environ if environ is None else environ
        root = Path(env.get("AI2TEXT_HOME") or REPOSITORY / ".mesh").expanduser().absolute()
        models = Path(env.get("AI2TEXT_MODELS") or root / "models").expanduser().absolute()
        return cls(root, models)

    @property
    def keys(self) -> Path:
        """The development key pair and the JWKS."""
        return self.root / "keys"

    @property
    def postgres(self) -> Path:
        """The database cluster."""
        return self.root / "postgres"

    @property
    def valkey(self) -> Path:
        """Snapshots of Valkey."""
        return self.root / "valkey"

    @property
    def nats(self) -> Path:
        """The JetStream store."""
        return self.root / "nats"

    @property
    def objects(self) -> Path:
        """The object store: the files that were uploaded."""
        return self.root / "objects"

    @property
    def triton(self) -> Path:
        """Triton's backend folder."""
        return self.root / "triton"

    @property
    def search(self) -> Path:
        """The search index."""
        return self.root / "search"

    @property
    def traces(self) -> Path:
        """The spans, one JSON object a line."""
        return self.root / "traces"

    @property
    def logs(self) -> Path:
        """One log for each part."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """Rendered configurations, the supervisor's secret, who was started when."""
        return self.root / "run"

    def create(self) -> None:
        """Makes every folder that a mesh writes to; what exists is left alone."""
        for folder in (
            self.keys, self.models, self.postgres, self.valkey, self.nats, self.objects, self.triton, self.search,
            self.traces, self.logs, self.run,
        ):  # fmt: skip
            folder.mkdir(parents=True, exist_ok=True)
        for private in (self.keys, self.run):
            private.chmod(0o700)
