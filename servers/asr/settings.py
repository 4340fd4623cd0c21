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
    nlp: str
    """The address of the server that refines texts, `host:port`; while it is away they stay as they are."""
    whisper_model: str = "whisper-base"
    """The speech model on Triton: a folder's name, or its path."""

    @property
    def model_name(self) -> str:
        """The name of the speech model, as it is written into transcripts."""
        return PurePath(self.whisper_model).name

    valkey_url: str
    """Where the tickets of live sessions are kept, `valkey://host:port`."""
    version: str = "stable"
    """What this server calls itself; the edge routes by it, and sessions stay with the version that they began with."""
    max_sessions: int = Field(default=200, ge=1)
    """Live sessions at once, those included that may be resumed; more are refused with RESOURCE_EXHAUSTED."""
    max_busy: float = Field(default=0.45, gt=0, le=1)
    """The share of the speech model's time that the finals of this server may need before new sessions are refused. Two
    servers that share a model get about half each."""
    max_wait_s: float = Field(default=0.25, gt=0)
    """How long finals may wait for the speech model on average before new sessions are refused, in seconds."""
    session_busy: float = Field(default=0.04, gt=0, le=1)
    """The share of the speech model's time that a session is taken to need until it has been heard. On a GPU, of which
    one final takes much less, 0.002."""
    idle_s: float = Field(default=60.0, gt=0)
    """A live stream on which nothing arrives for so long is ended, in seconds."""
    parked_s: float = Field(default=30.0, ge=0)
    """How long a session whose client has gone may be resumed before it is finished and stored, in seconds."""
    ticket_s: int = Field(default=300, ge=60)
    """How long a session may be resumed at all after its server has died, in seconds."""
    closing_s: float = Field(default=8.0, gt=0)
    """How long clients have to go on elsewhere when this server is told to stop, in seconds."""
    model_instances: int = Field(default=2, ge=1)
    """Instances of the speech model on Triton: what it can work on at the same time."""
    in_flight: int = Field(default=4, ge=1)
    """Finals of this server that Triton may hold at once; each of its instances works on several. Half as many may be
    begun at a pause."""
    inference_timeout_s: float = Field(default=20.0, gt=0)
    """How long one inference may take, in seconds."""
    retry_s: float = Field(default=25.0, ge=0)
    """How long a final is tried again while Triton is away, in seconds; a restart takes 10 to 20."""
    final_beam: int = Field(default=3, ge=1, le=10)
    """Beam of the finals; partials are greedy."""
    refinement_beam: int = Field(default=5, ge=1, le=10)
    """Beam of the refinements, which nobody waits for."""
    refine_timeout_s: float = Field(default=0.3, gt=0)
    """How long the text of a final may take to be refined before it is stored as it is, in seconds. The final itself is
    told before."""
    partial_every_ms: int = Field(default=600, ge=100)
    """Audio between the partials of an utterance while the model has time for all, in milliseconds."""
    max_unsaved: int = Field(default=10_000, ge=1)
    """Finals that may wait in memory while the metadata server is away; beyond, new sessions that store are refused."""
