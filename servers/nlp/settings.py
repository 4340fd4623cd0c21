"""Settings of the nlp server, from environment variables with the prefix AI2TEXT_."""

from pathlib import Path

from pydantic import Field

from servers.common.settings import ServerSettings


class Settings(ServerSettings):
    """What the nlp server needs to know."""

    accents_lexicon: Path | None = None
    """The folder of the words that accents are restored with (`python -m mesh.models` assembles it); without one no
    accents are restored."""

    texts_at_once: int = Field(default=2, ge=1)
    """How many texts are worked on at a time."""

    max_waiting: int = Field(default=256, ge=1)
    """How many texts may wait for their turn; more are refused as OVERLOADED."""

    refinement_timeout_s: float = Field(default=5.0, gt=0)
    """How long one text may take, its wait included, in seconds."""
