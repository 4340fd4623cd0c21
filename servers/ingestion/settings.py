"""Settings of the ingestion server, from environment variables with the prefix AI2TEXT_."""

import tempfile
from pathlib import Path

from pydantic import Field

from servers.common.objects import StoreAddress
from servers.common.settings import ServerSettings

GIB = 1 << 30
DAY_S = 24 * 3600.0


class Settings(ServerSettings):
    """What the ingestion server needs to know."""

    metadata: str
    """Where the metadata server listens, `host:port`."""

    nats_url: str
    """Where events come from, such as `nats://127.0.0.1:4222`."""

    s3_endpoint: str = ""
    """Where the object store is, such as `http://127.0.0.1:8333`; empty: AWS."""

    s3_public_endpoint: str = ""
    """Where clients reach the store, for uploads in parts and for downloads; empty: `s3_endpoint`."""

    s3_bucket: str = "ai2text"
    """Where the files are; made when it is not there."""

    s3_region: str = "us-east-1"
    """The region of the bucket."""

    s3_access_key: str
    s3_secret_key: str = Field(repr=False)
    """As whom to call the store."""

    spool_dir: Path = Path(tempfile.gettempdir())
    """Where a file lies while it is verified; nothing is left there whatever happens."""

    spool_reserve_bytes: int = Field(default=GIB, ge=0)
    """Room on that disk that uploads leave to others."""

    max_uploads: int = Field(default=16, ge=1)
    """How many files are taken at a time; more are refused as OVERLOADED."""

    max_file_bytes: int = Field(default=2 * GIB, ge=1, le=5 * GIB)
    """The largest file."""

    max_audio_s: float = Field(default=12 * 3600.0, gt=0)
    """The longest audio, in seconds."""

    idle_s: float = Field(default=60.0, gt=0)
    """How long an upload may bring nothing before it is given up, in seconds."""

    download_expiry_s: int = Field(default=900, ge=1, le=7 * 24 * 3600)
    """How long the address of a download is good, in seconds; S3 knows no longer one than a week."""

    sweep_interval_s: float = Field(default=6 * 3600.0, gt=0)
    """How often what nobody refers to is looked for, in seconds."""

    sweep_age_s: float = Field(default=DAY_S, gt=0)
    """How old it must be before it is removed, in seconds; an upload in parts has so long to be completed."""

    audio_expiry_days: int = Field(default=0, ge=0)
    """After how many days the store removes the raw audio by itself; 0: never. Transcripts stay."""

    def store(self) -> StoreAddress:
        """Where and as whom to call the object store."""
        return StoreAddress(
            endpoint=self.s3_endpoint,
            bucket=self.s3_bucket,
            access_key=self.s3_access_key,
            secret_key=self.s3_secret_key,
            public_endpoint=self.s3_public_endpoint,
            region=self.s3_region,
        )
