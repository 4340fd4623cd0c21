"""Settings of the batch server."""

from pathlib import Path, PurePath

from pydantic import Field

from servers.common.settings import ServerSettings


class Settings(ServerSettings):
    """Read from environment variables with the prefix AI2TEXT_."""

    triton: str
    """Triton's gRPC address, `host:port`."""
    metadata: str
    """The metadata server's address, `host:port`."""
    nlp: str
    """The address of the server that refines texts, `host:port`."""
    nats_url: str
    """Where events come from, such as `nats://127.0.0.1:4222`."""
    postgres_dsn: str
    """Where operations are kept."""
    s3_endpoint: str
    """Where the files are, such as `http://127.0.0.1:8092`."""
    s3_bucket: str = "ai2text"
    """The bucket they are in."""
    s3_access_key: str
    """As whom to read them."""
    s3_secret_key: str = Field(repr=False)
    """The secret of that key."""
    scratch_dir: Path | None = None
    """Where a file lies while it is transcribed, 2 GiB at most for each of `files_at_once`; default: the system's."""
    whisper_model: str = "whisper-base"
    """The speech model on Triton: a folder's name, or its path."""

    @property
    def model_name(self) -> str:
        """The name of the speech model, as it is written into transcripts."""
        return PurePath(self.whisper_model).name

    files_at_once: int = Field(default=4, ge=1)
    """Files in work: uploads, and as many again that were asked for."""
    chunks_a_round: int = Field(default=8, ge=1, le=12)
    """Chunks of one file that are transcribed together, and then stored and noted. Their segments go into one call of
    metadata: of a round that was stored in part, the other part would never be."""
    chunks_at_once: int = Field(default=16, ge=1)
    """Chunks of all files that Triton may hold: what it decodes now, and what it decodes next."""
    beam: int = Field(default=5, ge=1, le=10)
    """Beam of the decoder."""
    inference_timeout_s: float = Field(default=600.0, gt=0)
    """How long one chunk may take, its wait in Triton's queue included; live speech goes before it, in seconds."""
    file_timeout_s: float = Field(default=24 * 3600.0, gt=0)
    """How long one try of a file may take, in seconds; the next goes on where it had come to."""
    file_tries: int = Field(default=10, ge=1)
    """How often a file is tried without coming further before it is given up; waiting for something that is away does
    not count."""
    refine_timeout_s: float = Field(default=2.0, gt=0)
    """How long a text may take to be refined before it is stored as it is, in seconds."""
    round_drain_s: float = Field(default=15.0, ge=0)
    """How long rounds in work may go on after SIGTERM, in seconds; then they are given up, and done again elsewhere."""
