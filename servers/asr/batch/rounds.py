"""Reads recorded audio round by round: some chunks of speech to be transcribed together, and where the next begin.

A round depends only on the audio from its own beginning on: voice detection and cutting begin anew there. So a file
that is taken up again where a round ended goes on as it would have gone on.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from servers.asr.audio import SampleBuffer, Samples
from servers.asr.batch.chunking import Chunker, Span
from servers.asr.endpointing import WINDOW

BLOCK = 1024
"""Windows that are looked at together (33 s), counted from the beginning of the round."""
QUIET = 10 * BLOCK
"""Windows without a chunk (5 min) after which a round ends, so that what is silent is not heard again."""


class Detector(Protocol):
    """Voice activity detection on one stream of samples."""

    def probabilities(self, heard: Samples) -> list[float]:
        """The probability of voice of each window that has become complete."""
        ...


@dataclass(frozen=True, eq=False)
class Chunk:
    """Speech to be transcribed; positions count samples of the file."""

    start: int
    audio: Samples


@dataclass(frozen=True, eq=False)
class Round:
    """Chunks in order of time; before `end`, a whole number of milliseconds, there is no other speech."""

    chunks: tuple[Chunk, ...]
    end: int


async def rounds(
    pieces: AsyncIterator[Samples], detector: Callable[[], Detector], start: int, chunks: int
) -> AsyncGenerator[Round]:
    """The rounds of a file, given in pieces from its beginning, from the position `start` on, which is 0 or the end of
    a round. Each has at most `chunks` chunks; the last may have none."""
    sound = _Sound(pieces, start)
    position, goes_on = start, True
    while goes_on:
        found, goes_on = await _round(sound, detector(), position, chunks)
        position = found.end
        yield found
        del found  # its sound, before that of the next is gathered


async def _round(sound: "_Sound", detector: Detector, begin: int, most: int) -> tuple[Round, bool]:
    """The round that begins there, and whether there is audio behind it."""
    chunker = Chunker()
    chunks: list[Chunk] = []
    position = begin
    while True:
        block, is_last = await sound.block(position, BLOCK * WINDOW)
        position += len(block)
        whole = np.concatenate([block, np.zeros(-len(block) % WINDOW, np.float32)])
        probabilities = await asyncio.to_thread(detector.probabilities, whole)
        for span in _spans(chunker, probabilities, is_last):
            chunks.append(Chunk(begin + span.start * WINDOW, sound.cut(begin, span)))
            if len(chunks) == most:
                end = min(begin + span.end * WINDOW, sound.end)
                return Round(tuple(chunks), end), end < sound.end
        if is_last:
            return Round(tuple(chunks), position), False
        quiet_until = chunker.quiet_until
        sound.forget_before(begin + quiet_until * WINDOW)
        if quiet_until - _end(chunks, begin) >= QUIET:
            return Round(tuple(chunks), begin + quiet_until * WINDOW), True


def _spans(chunker: Chunker, probabilities: list[float], is_last: bool) -> list[Span]:
    found = list(chunker.feed(probabilities))
    return found + list(chunker.finish()) if is_last else found


def _end(chunks: list[Chunk], begin: int) -> int:
    """Where the last chunk ends, in windows."""
    return (chunks[-1].start + len(chunks[-1].audio) - begin) // WINDOW if chunks else 0


class _Sound:
    """The audio of a file as far as it is still needed, read as it is wanted."""

    def __init__(self, pieces: AsyncIterator[Samples], start: int) -> None:
        self._pieces = pieces
        self._buffer = SampleBuffer(start)
        self._to_skip = start
        self._is_over = False

    @property
    def end(self) -> int:
        """As far as it has been read."""
        return self._buffer.end

    async def block(self, position: int, length: int) -> tuple[Samples, bool]:
        """The samples from there on, and whether there are no more behind them."""
        while self._buffer.end <= position + length and not self._is_over:
            await self._read()
        return self._buffer.slice(position, position + length), self._buffer.end <= position + length

    def cut(self, begin: int, span: Span) -> Samples:
        """The samples of a span that counts from there."""
        return self._buffer.slice(begin + span.start * WINDOW, begin + span.end * WINDOW)

    def forget_before(self, position: int) -> None:
        """What lies before is needed no more."""
        self._buffer.forget_before(position)

    async def _read(self) -> None:
        try:
            piece = await anext(self._pieces)
        except StopAsyncIteration:
            self._is_over = True
            return
        skipped = min(self._to_skip, len(piece))
        self._to_skip -= skipped
        self._buffer.append(piece[skipped:])
