"""Settings of the metadata server, from environment variables with the prefix AI2TEXT_."""

from servers.common.settings import ServerSettings


class Settings(ServerSettings):
    """What the metadata server needs to know."""

    postgres_dsn: str
    """Where the rows are, as a role that row-level security holds: `postgresql://ai2text_app@host:port/ai2text`."""

    nats_url: str
    """Where events go, such as `nats://127.0.0.1:4222`."""
