"""Settings of the embeddings server, from environment variables with the prefix AI2TEXT_."""

from pathlib import PurePath

from pydantic import Field

from servers.common.settings import ServerSettings


class Settings(ServerSettings):
    """What the embeddings server needs to know."""

    triton: str
    """Where Triton serves gRPC, `host:port`."""

    nats_url: str
    """Where events come from and go to, such as `nats://127.0.0.1:4222`."""

    embedder_model: str = "multilingual-e5-small"
    """The model behind Triton's `embedder`: the name of its folder, or a path that ends in it."""

    inference_timeout_s: float = Field(default=10.0, gt=0)
    """How long one text may take on Triton, its queue included, in seconds."""

    in_flight: int = Field(default=8, ge=1)
    """How many texts are at Triton at a time; it batches those that arrive together."""

    max_waiting: int = Field(default=256, ge=1)
    """How many texts may wait for their turn; more are refused as OVERLOADED."""

    @property
    def model_name(self) -> str:
        """What vectors of this model are marked with."""
        return PurePath(self.embedder_model).name
