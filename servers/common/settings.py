"""Settings that every server has. The environment is read once, here, into a frozen object."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServerSettings(BaseSettings):
    """Read from environment variables with the prefix AI2TEXT_, such as AI2TEXT_LISTEN."""

    model_config = SettingsConfigDict(env_prefix="AI2TEXT_", frozen=True, extra="ignore")

    listen: str
    """Where to serve gRPC, `host:port`; port 0 takes a free one."""

    metrics_port: int = Field(default=0, ge=0, le=65535)
    """Where to show Prometheus metrics, on the same host; 0: nowhere."""

    otlp_endpoint: str = ""
    """Where to send traces, such as `http://127.0.0.1:4317` (OTLP over gRPC); empty: nowhere."""

    log_level: str = "info"
    """debug, info, warning or error."""

    drain_s: float = Field(default=10.0, ge=0)
    """How long calls in flight may go on after SIGTERM, in seconds."""
