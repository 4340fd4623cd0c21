"""Exports: what was said in a recording as a file, written piece by piece while it is read page by page."""

import heapq
from collections.abc import AsyncIterator, Sequence

from servers.common.bounds import MAX_CHANNELS
from servers.common.errors import TranscriptNotFound
from servers.metadata import fields, formats
from servers.metadata.library import Library
from servers.metadata.transcripts import MOST_TRANSCRIPTS, Segment, Transcript, TranscriptStore, of_channels

PIECE_CHARACTERS = 32_768
"""A piece is sent when it is longer than this."""
PAGE = 100
"""Segments read at once."""


class Exports:
    """Writes what was said in all channels as one file."""

    def __init__(self, library: Library, store: TranscriptStore) -> None:
        self._library = library
        self._store = store

    async def write(
        self, tenant: str, recording_id: str, format: formats.Format | None, channel: int | None = None
    ) -> AsyncIterator[str]:
        """The pieces of a file, of all channels or of one; FieldInvalid, RecordingNotFound, or TranscriptNotFound when
        nothing was transcribed.

        Segments that are appended meanwhile may or may not be in it. TranscriptNotFound at the end, too, when the
        recording was deleted meanwhile: then the file is not whole.
        """
        known = fields.known("format", format)
        wanted = None if channel is None else fields.number("channel", channel, 0, MAX_CHANNELS - 1)
        recording = await self._library.get(tenant, recording_id)
        told = await self._told(tenant, recording.recording_id, wanted)
        writer = formats.writer(known, recording, told)
        piece = writer.opening()
        async for transcript, segment in self._by_time(tenant, told):
            piece += writer.segment(transcript, segment)
            if len(piece) > PIECE_CHARACTERS:
                yield piece
                piece = ""
        if await self._store.transcript(tenant, told[0].transcript_id) is None:
            raise TranscriptNotFound("the transcript was deleted meanwhile", recording_id=recording.recording_id)
        if piece := piece + writer.closing():
            yield piece

    async def _told(self, tenant: str, recording_id: str, channel: int | None) -> Sequence[Transcript]:
        """The transcript of each channel, or of one: one at least."""
        there = of_channels(await self._store.transcripts(tenant, recording_id, MOST_TRANSCRIPTS))
        told = [transcript for transcript in there if channel in (None, transcript.content.channel)]
        if not told:
            of = "" if channel is None else f" of channel {channel}"
            raise TranscriptNotFound(f"the recording has no transcript{of}", recording_id=recording_id)
        return told

    async def _by_time(
        self, tenant: str, transcripts: Sequence[Transcript]
    ) -> AsyncIterator[tuple[Transcript, Segment]]:
        """The segments of all of them by the times when they begin, those of each in order of their index."""
        readers = [self._segments(tenant, transcript) for transcript in transcripts]
        heads: list[tuple[int, int, Segment]] = []

        async def read(place: int) -> None:
            if (segment := await anext(readers[place], None)) is not None:
                heapq.heappush(heads, (segment.start_ms, place, segment))

        for place in range(len(readers)):
            await read(place)
        while heads:
            _, place, segment = heapq.heappop(heads)
            yield transcripts[place], segment
            await read(place)

    async def _segments(self, tenant: str, transcript: Transcript) -> AsyncIterator[Segment]:
        last = -1
        while page := await self._store.segments(tenant, transcript.transcript_id, last, PAGE):
            for segment in page:
                yield segment
            last = page[-1].index
