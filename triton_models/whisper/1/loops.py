"""Signs that the decoder got stuck and repeats itself."""

import zlib

HIGHEST_COMPRESSION = 2.4
_LONGEST_PHRASE = 12
_REPEATS_OF_A_WORD = 5
_REPEATS_OF_A_PHRASE = 3


def compression_ratio(text: str) -> float:
    """UTF-8 bytes over zlib's bytes, as OpenAI's Whisper has it: prose stays below 2.4. 0 for no text."""
    encoded = text.encode()
    return len(encoded) / len(zlib.compress(encoded)) if encoded else 0.0


def repeats_at_end(text: str) -> bool:
    """Whether `text` ends in one word five times over, or in a phrase of 2 to 12 words three times over."""
    words = text.lower().split()
    return any(_repeats(words, length) for length in range(1, _LONGEST_PHRASE + 1))


def is_looping(text: str) -> bool:
    """Whether `text` looks like a decoder's loop rather than like speech."""
    return compression_ratio(text) > HIGHEST_COMPRESSION or repeats_at_end(text)


def _repeats(words: list[str], length: int) -> bool:
    """Whether the last `length` words stand there often enough in a row to call it a loop."""
    times = _REPEATS_OF_A_WORD if length == 1 else _REPEATS_OF_A_PHRASE
    tail = words[-length * times :]
    return len(tail) == length * times and tail == tail[-length:] * times
