"""Settings of the speech server."""

from pathlib import PurePath

from pydantic import Field

from servers.common.settings import ServerSettings


class Settings(ServerSettings):
    """Read from environment variables with the prefix AI2TEXT_."""

    triton: str
    """Triton's gRPC address, `host:port`."""
    metadata: str
    """The metadata server's address, `host:port`."""
    whisper_model: str = "whisper-base"
    """The speech model on Triton: a folder's name, or its path."""

    @property
    def model_name(self) -> str:
        """The name of the speech model, as it is written into transcripts."""
        return PurePath(self.whisper_model).name

    max_sessions: int = Field(default=64, ge=1)
    """Live sessions at once; more are refused with RESOURCE_EXHAUSTED."""
    idle_s: float = Field(default=60.0, gt=0)
    """A live stream on which nothing arrives for so long is ended, in seconds."""
    in_flight: int = Field(default=4, ge=1)
    """Inferences that Triton may hold at once; it batches them. More only makes finals wait for partials."""
    max_waiting: int = Field(default=256, ge=1)
    """Inferences that may wait for their turn; beyond, partials are left out. Finals always wait."""
    inference_timeout_s: float = Field(default=10.0, gt=0)
    """How long one inference may take, in seconds."""
    retry_s: float = Field(default=25.0, ge=0)
    """How long a final is tried again while Triton is away, in seconds; a restart takes 10 to 20."""
    final_beam: int = Field(default=5, ge=1, le=10)
    """Beam of the finals; partials are greedy."""
    partial_every_ms: int = Field(default=600, ge=100)
    """Audio between the partials of an utterance, in milliseconds."""
    endpoint_silence_ms: int = Field(default=512, ge=288, le=5000)
    """Silence that ends an utterance, in milliseconds."""
    max_unsaved: int = Field(default=10_000, ge=1)
    """Finals that may wait in memory while the metadata server is away; beyond, sessions that store are refused."""
