"""What a client puts into its session, besides the first message."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Audio:
    """Encoded bytes."""

    data: bytes


@dataclass(frozen=True)
class Silence:
    """Silence that the client left out."""

    duration_ms: float


@dataclass(frozen=True)
class EndUtterance:
    """The client wants the final now."""


@dataclass(frozen=True)
class Alive:
    """The client has nothing to say, but is there."""


Input = Audio | Silence | EndUtterance | Alive
