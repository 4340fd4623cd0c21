"""The recordings of the tenant: listed, found by the beginning of their id, read, exported, changed, deleted."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from ai2text.metadata.v1 import (
    recording_pb2,
    recording_service_pb2,
    transcript_pb2,
    transcript_service_pb2,
)
from ai2text.metadata.v1.recording_service_pb2_grpc import RecordingServiceStub
from ai2text.metadata.v1.transcript_service_pb2_grpc import TranscriptServiceStub
from google.protobuf.field_mask_pb2 import FieldMask

from clients.cli.connection import Connection
from clients.cli.finals import Format
from clients.cli.problem import Problem
from clients.cli.refusal import Refusal

PAGE_SIZE = 200
UUID_LENGTH = 36
PREFIX_LOOKS_AT = 1000
"""How many of the newest recordings an abbreviated id is looked for in."""

LABEL_TRIES = 5
"""How often labels are changed anew when somebody else has changed the recording meanwhile."""

EXPORT_FORMATS = {
    Format.SRT: transcript_service_pb2.EXPORT_FORMAT_SRT,
    Format.VTT: transcript_service_pb2.EXPORT_FORMAT_VTT,
    Format.JSON: transcript_service_pb2.EXPORT_FORMAT_JSON,
    Format.TXT: transcript_service_pb2.EXPORT_FORMAT_TXT,
}


@dataclass(frozen=True)
class Said:
    """A segment, and in which channel of the audio it was said."""

    channel: int
    segment: transcript_pb2.Segment


class Library:
    """Everything this command asks of the metadata server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._recordings = RecordingServiceStub(connection.channel)
        self._transcripts = TranscriptServiceStub(connection.channel)

    async def newest(
        self, limit: int, wanted: recording_service_pb2.ListRecordingsRequest | None = None
    ) -> list[recording_pb2.Recording]:
        """Up to `limit` recordings, page by page; `wanted` has filters and order (default: the newest first)."""
        found: list[recording_pb2.Recording] = []
        request = recording_service_pb2.ListRecordingsRequest()
        if wanted is not None:
            request.CopyFrom(wanted)
        while len(found) < limit:
            request.page_size = min(PAGE_SIZE, limit - len(found))
            page = await self._connection.call(self._recordings.ListRecordings, request)
            found += page.recordings
            request.page_token = page.next_page_token
            if not request.page_token:
                break
        return found[:limit]

    async def full_id(self, given: str) -> str:
        """The id that begins with `given`. Raises Problem when no recording's does, or when several do."""
        if len(given) >= UUID_LENGTH:
            return given
        ids = [recording.recording_id for recording in await self.newest(PREFIX_LOOKS_AT)]
        matching = [id_ for id_ in ids if id_.startswith(given.lower())]
        if not matching and len(ids) == PREFIX_LOOKS_AT:
            raise Problem(f"None of the {len(ids)} newest recordings' ids begins with {given!r}.", "Give the whole id.")
        if not matching:
            raise Problem(f"No recording's id begins with {given!r}.", "`ai2text recordings list` shows what there is.")
        if len(matching) > 1:
            raise Problem(f"{len(matching)} recordings' ids begin with {given!r}.", f"One of them: {matching[0]}.")
        return matching[0]

    async def recording(self, recording_id: str) -> recording_pb2.Recording:
        """One recording. Raises Refusal (NOT_FOUND)."""
        request = recording_service_pb2.GetRecordingRequest(recording_id=recording_id)
        return (await self._connection.call(self._recordings.GetRecording, request)).recording

    async def rename(self, recording_id: str, title: str) -> recording_pb2.Recording:
        """The recording with its new title. Raises Refusal."""
        return await self._update(recording_pb2.Recording(recording_id=recording_id, title=title), "title")

    async def relabel(
        self, recording_id: str, change: Callable[[Mapping[str, str]], Mapping[str, str]]
    ) -> recording_pb2.Recording:
        """The recording with what `change` makes of its labels; what others change meanwhile stays. Raises Refusal."""
        for tries in range(LABEL_TRIES, 0, -1):
            before = await self.recording(recording_id)
            changed = recording_pb2.Recording(recording_id=recording_id, labels=change(before.labels), etag=before.etag)
            try:
                return await self._update(changed, "labels")
            except Refusal as refusal:
                if refusal.details.reason != "ETAG_MISMATCH" or tries == 1:
                    raise
        raise AssertionError("the last try returned or raised")

    async def delete(self, recording_id: str) -> None:
        """Delete a recording with all that belongs to it. Raises Refusal (NOT_FOUND)."""
        request = recording_service_pb2.DeleteRecordingRequest(recording_id=recording_id)
        await self._connection.call(self._recordings.DeleteRecording, request)

    async def _update(self, changed: recording_pb2.Recording, field: str) -> recording_pb2.Recording:
        request = recording_service_pb2.UpdateRecordingRequest(recording=changed, update_mask=FieldMask(paths=[field]))
        return (await self._connection.call(self._recordings.UpdateRecording, request)).recording

    async def segments(self, recording_id: str, transcript_id: str = "") -> list[transcript_pb2.Segment]:
        """The segments of that transcript, in order; of the newest that is complete, or else of the newest, when it is
        not there; none when there is none."""
        transcripts = await self._complete_first(recording_id)
        if not transcripts:
            return []
        wanted = [one for one in transcripts if one.transcript_id == transcript_id] or transcripts
        return [segment async for segment in self._segments(wanted[0].transcript_id)]

    async def said(self, recording_id: str, channel: int | None = None) -> list[Said]:
        """What was said in all channels, or in one, by the times when it was said: of each what its newest transcript
        holds that is complete, or else its newest. Raises Problem when there is none of that channel."""
        told: dict[int, str] = {}
        for transcript in await self._complete_first(recording_id):
            told.setdefault(transcript.channel, transcript.transcript_id)
        if channel is not None and channel not in told:
            there = ", ".join(map(str, sorted(told))) or "none"
            raise Problem(f"The recording has no transcript of channel {channel}.", f"It has those of: {there}.")
        wanted = sorted(told) if channel is None else [channel]
        said = [Said(one, segment) for one in wanted async for segment in self._segments(told[one])]
        return sorted(said, key=lambda one: one.segment.start_ms)  # of what begins at once, the first channel first

    async def _complete_first(self, recording_id: str) -> list[transcript_pb2.Transcript]:
        """Its transcripts, those that are complete before those that are not, the newer of both before the older."""
        request = transcript_service_pb2.ListTranscriptsRequest(recording_id=recording_id)
        answer = await self._connection.call(self._transcripts.ListTranscripts, request)
        return sorted(answer.transcripts, key=lambda one: one.incomplete)

    async def _segments(self, transcript_id: str) -> AsyncIterator[transcript_pb2.Segment]:
        token = ""
        while True:
            request = transcript_service_pb2.ListSegmentsRequest(
                transcript_id=transcript_id, page_size=PAGE_SIZE, page_token=token
            )
            page = await self._connection.call(self._transcripts.ListSegments, request)
            for segment in page.segments:
                yield segment
            token = page.next_page_token
            if not token:
                return

    async def export(self, recording_id: str, form: Format, channel: int | None = None) -> AsyncIterator[str]:
        """What was said in all channels, or in one, as a file, piece by piece."""
        request = transcript_service_pb2.ExportTranscriptRequest(
            recording_id=recording_id, format=EXPORT_FORMATS[form], channel=channel
        )
        async for piece in self._connection.download(self._transcripts.ExportTranscript, request):
            yield piece.text
