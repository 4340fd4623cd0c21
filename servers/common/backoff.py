"""Exponential back-off with equal jitter (Brooker, "Exponential Backoff and Jitter", 2015)."""

import random
from collections.abc import Iterator


def delays(first_s: float = 0.1, longest_s: float = 5.0) -> Iterator[float]:
    """Endless waiting times in seconds: each random between half and all of a bound that doubles up to `longest_s`."""
    bound = first_s
    while True:
        yield bound * random.uniform(0.5, 1.0)
        bound = min(bound * 2, longest_s)
