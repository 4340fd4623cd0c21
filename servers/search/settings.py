"""Settings of the search server, from environment variables with the prefix AI2TEXT_."""

from pathlib import Path

from pydantic import Field

from servers.common.settings import ServerSettings


class Settings(ServerSettings):
    """What the search server needs to know."""

    embeddings: str
    """Where the embeddings server listens, `host:port`."""

    nats_url: str
    """Where events come from, such as `nats://127.0.0.1:4222`."""

    data_dir: Path
    """The folder of the index; made when it is not there. One server at a time may use it."""

    embed_timeout_s: float = Field(default=2.0, gt=0)
    """How long the embedding of a query is waited for, in seconds; after that the words alone decide."""

    max_searches: int = Field(default=64, ge=1)
    """How many searches are answered at a time; more are refused as OVERLOADED."""

    vector_probes: int = Field(default=48, ge=1)
    """How many lists of near vectors a search looks through at least: more find more, and take longer."""
