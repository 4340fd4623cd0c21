"""Settings of the embeddings server, from environment variables with the prefix AI2TEXT_."""

from pathlib import PurePath

from pydantic import Field

from servers.common.settings import ServerSettings
from servers.embeddings.embedding import MOST_CHARACTERS


class Settings(ServerSettings):
    """What the embeddings server needs to know."""

    triton: str
    """Where Triton serves gRPC, `host:port`."""

    nats_url: str
    """Where events come from and go to, such as `nats://127.0.0.1:4222`."""

    valkey_url: str
    """Where the cache of vectors is, such as `valkey://127.0.0.1:6379`. It may vanish: vectors are then made anew."""

    cache_ttl_s: float = Field(default=7 * 24 * 3600.0, gt=0)
    """How long a vector stays in the cache after it was made, in seconds, unless Valkey needs the room before."""

    cache_timeout_s: float = Field(default=0.1, gt=0)
    """How long the cache is waited for, in seconds."""

    embedder_model: str = "multilingual-e5-small"
    """The model behind Triton's `embedder`: the name of its folder, or a path that ends in it."""

    max_characters: int = Field(default=MOST_CHARACTERS, ge=1, le=MOST_CHARACTERS)
    """How many characters a text may have. A final that has more goes to the dead letters."""

    inference_timeout_s: float = Field(default=10.0, gt=0)
    """How long one text may take on Triton, its queue included, in seconds."""

    queries_in_flight: int = Field(default=8, ge=1)
    """How many queries are at Triton at a time; it batches those that arrive together."""

    passages_in_flight: int = Field(default=2, ge=1)
    """How many requests of passages are at Triton at a time. On the CPU one is embedded beside queries, and makes way
    for these, while the next waits. On a GPU a query waits for those before it."""

    passages_together: int = Field(default=8, ge=1, le=32)
    """How many passages go in one request, if so many wait. Eight at once take the CPU four fifths of the time that
    they take one by one."""

    reranks_in_flight: int = Field(default=1, ge=1)
    """How many queries have texts compared with them at a time, a few texts after the other."""

    max_waiting: int = Field(default=256, ge=1)
    """How many texts of either kind, or queries to compare with, may wait; more are refused as OVERLOADED."""

    @property
    def model_name(self) -> str:
        """What vectors of this model are marked with."""
        return PurePath(self.embedder_model).name
