"""Settings of the search server, from environment variables with the prefix AI2TEXT_."""

from pathlib import Path

from pydantic import Field

from servers.common.settings import ServerSettings
from servers.search.reranking import MOST_CANDIDATES


class Settings(ServerSettings):
    """What the search server needs to know."""

    embeddings: str
    """Where the embeddings server listens, `host:port`."""

    nats_url: str
    """Where events come from, such as `nats://127.0.0.1:4222`."""

    data_dir: Path
    """The folder of the index; made when it is not there. One server at a time may use it: another one ends at once."""

    embed_timeout_s: float = Field(default=2.0, gt=0)
    """How long the embedding of a query is waited for, in seconds; after that the words alone decide."""

    embeds_at_once: int = Field(default=8, ge=1)
    """Queries that are being embedded at a time ..."""

    embed_patience_s: float = Field(default=0.25, ge=0)
    """... and how long another one waits for its turn, in seconds; after that the words alone decide."""

    rerank_candidates: int = Field(default=5, ge=0, le=MOST_CANDIDATES)
    """How many hits are compared with the query, token by token, when a caller wants that; 0: none ever. Each costs as
    much as to embed it; they have `embed_timeout_s` in all."""

    max_searches: int = Field(default=64, ge=1)
    """How many searches are answered at a time; more are refused as OVERLOADED."""

    valkey_url: str = ""
    """Where answers to hot queries are kept, such as `valkey://127.0.0.1:6379`; they may vanish. Empty: nowhere."""

    hot_cache: bool = True
    """Whether answers to hot queries are kept, and given again until anything changes of the tenant's documents."""

    hot_cache_ttl_s: float = Field(default=300.0, gt=0)
    """How long an answer is kept at most, in seconds."""

    hot_cache_timeout_s: float = Field(default=0.05, gt=0)
    """How long the cache is waited for, in seconds; then the answer is made anew."""

    vector_probes: int = Field(default=32, ge=1)
    """How many lists of near vectors a search looks through at least: more find more, and take longer."""

    qdrant_url: str = ""
    """Where Qdrant keeps the vectors, such as `http://qdrant:6333`, its REST interface; empty: lists in `data_dir` do.
    No other server may keep the same tenants there."""

    qdrant_api_key: str = Field(default="", repr=False)
    """What Qdrant is shown; empty: nothing."""
