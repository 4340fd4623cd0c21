"""Settings of the embedding server."""

from pydantic import Field

from servers.common.settings import ServerSettings


class Settings(ServerSettings):
    """Read from environment variables with the prefix AI2TEXT_."""

    triton: str
    """Triton's gRPC address, `host:port`."""
    nats_url: str
    """Where the events are, such as `nats://127.0.0.1:4222`."""
    embedder_model: str = "multilingual-e5-small"
    """The name of the embedding model, as it is written into events; vectors of different models never mix."""

    in_flight: int = Field(default=32, ge=1)
    """Texts that Triton may hold at once; it batches them."""
    max_waiting: int = Field(default=2_048, ge=1)
    """Texts that may wait for their turn; beyond, RESOURCE_EXHAUSTED."""
    inference_timeout_s: float = Field(default=10.0, gt=0)
    """How long one text may take, waiting in Triton's queue included, in seconds."""
    max_tries: int = Field(default=10, ge=1)
    """Deliveries of one event before it goes to the dead letters."""
