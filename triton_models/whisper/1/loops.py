"""Signs that the decoder got stuck and repeats itself."""

import math
import zlib
from collections.abc import Sequence

from waveform import SAMPLE_RATE

HIGHEST_COMPRESSION = 2.4
LONGEST_PERIOD = 24
FEWEST_REPEATS = 3
SHORTEST_LOOP = 10
TOKENS_PER_SECOND = 8
SPARE_TOKENS = 16


def token_room(sample_count: int) -> int:
    """More tokens than anybody says in so many samples: 8 a second, and 16."""
    return SPARE_TOKENS + math.ceil(TOKENS_PER_SECOND * sample_count / SAMPLE_RATE)


def is_stuck(text: str, tokens: Sequence[int], sample_count: int) -> bool:
    """Whether the decoder loops, or went on until it ran out of room."""
    return len(tokens) >= token_room(sample_count) or is_looping(text, tokens)


def compression_ratio(text: str) -> float:
    """UTF-8 bytes over zlib's bytes, as OpenAI's Whisper has it: prose stays below 2.4. 0 for no text."""
    encoded = text.encode()
    return len(encoded) / len(zlib.compress(encoded)) if encoded else 0.0


def repeats_at_end(tokens: Sequence[int]) -> bool:
    """Whether the last 10 tokens or more are one phrase of up to 24 tokens, said three times over or more.

    The phrase may be cut in its midst, as it is where the decoder ran out of room.
    """
    return any(
        _periodic_tail(tokens, period) >= max(SHORTEST_LOOP, FEWEST_REPEATS * period)
        for period in range(1, min(LONGEST_PERIOD, len(tokens) // FEWEST_REPEATS) + 1)
    )


def is_looping(text: str, tokens: Sequence[int]) -> bool:
    """Whether a transcript looks like a decoder's loop rather than like speech."""
    return compression_ratio(text) > HIGHEST_COMPRESSION or repeats_at_end(tokens)


def _periodic_tail(tokens: Sequence[int], period: int) -> int:
    """How many tokens at the end, the first phrase counted in, repeat what stands `period` tokens earlier."""
    length = 0
    for later, earlier in zip(reversed(tokens), reversed(tokens[: len(tokens) - period]), strict=False):
        if later != earlier:
            break
        length += 1
    return length + period if length else 0
