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

    queries_in_flight: int = Field(default=8, ge=1)
    """How many queries are at Triton at a time; it batches those that arrive together."""

    passages_in_flight: int = Field(default=2, ge=1)
    """How many passages are at Triton at a time. A query waits for those before it: on a GPU, which is no slower for
    eight than for one, raise it."""

    max_waiting: int = Field(default=256, ge=1)
    """How many texts of either kind may wait for their turn; more are refused as OVERLOADED."""

    @property
    def model_name(self) -> str:
        """What vectors of this model are marked with."""
        return PurePath(self.embedder_model).name
