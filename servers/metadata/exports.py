"""Exports: the newest transcript of a recording as a file, written piece by piece while it is read page by page."""

from collections.abc import AsyncIterator

from servers.common.errors import TranscriptNotFound
from servers.metadata import fields, formats
from servers.metadata.library import Library
from servers.metadata.transcripts import Segment, Transcript, TranscriptStore

PIECE_CHARACTERS = 32_768
"""A piece is sent when it is longer than this."""
PAGE = 100
"""Segments read at once."""


class Exports:
    """Writes transcripts as files."""

    def __init__(self, library: Library, store: TranscriptStore) -> None:
        self._library = library
        self._store = store

    async def write(self, tenant: str, recording_id: str, format: formats.Format | None) -> AsyncIterator[str]:
        """The pieces of a file; FieldInvalid, RecordingNotFound, or TranscriptNotFound when nothing was transcribed.

        Segments that are appended meanwhile may or may not be in it. TranscriptNotFound at the end, too, when the
        transcript was deleted meanwhile: then the file is not whole.
        """
        known = fields.known("format", format)
        recording = await self._library.get(tenant, recording_id)
        newest = await self._store.transcripts(tenant, recording.recording_id, 1)
        if not newest:
            raise TranscriptNotFound("the recording has no transcript", recording_id=recording.recording_id)
        writer = formats.writer(known, recording, newest[0])
        piece = writer.opening()
        async for segment in self._segments(tenant, newest[0]):
            piece += writer.segment(segment)
            if len(piece) > PIECE_CHARACTERS:
                yield piece
                piece = ""
        if await self._store.transcript(tenant, newest[0].transcript_id) is None:
            raise TranscriptNotFound("the transcript was deleted meanwhile", recording_id=recording.recording_id)
        if piece := piece + writer.closing():
            yield piece

    async def _segments(self, tenant: str, transcript: Transcript) -> AsyncIterator[Segment]:
        last = -1
        while page := await self._store.segments(tenant, transcript.transcript_id, last, PAGE):
            for segment in page:
                yield segment
            last = page[-1].index
