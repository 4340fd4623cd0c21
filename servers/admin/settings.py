"""Settings of the admin server, from environment variables with the prefix AI2TEXT_."""

from pydantic import Field

from servers.common.settings import ServerSettings


class Settings(ServerSettings):
    """What the admin server needs to know."""

    nats_url: str
    """Where the streams are, such as `nats://127.0.0.1:4222`."""

    measure_every_s: float = Field(default=5.0, gt=0)
    """How often backlogs and dead letters are measured, in seconds."""
