"""The moment of a hit: what was said around it, and where. `clients.cli.playing` lets it be heard."""

from collections.abc import Sequence
from dataclasses import dataclass

from ai2text.metadata.v1 import recording_pb2, transcript_pb2
from ai2text.search.v1 import hit_pb2
from rich.text import Text

from clients.cli.connection import Connection
from clients.cli.library import Library
from clients.cli.times import full

AROUND_MS = 30_000


@dataclass(frozen=True)
class Moment:
    """A hit with its recording, and the segments around it."""

    hit: hit_pb2.Hit
    recording: recording_pb2.Recording
    segments: Sequence[transcript_pb2.Segment]

    @property
    def has_sound(self) -> bool:
        """Whether the recording was made from a file, which may still be there."""
        return self.recording.HasField("object")

    def where(self) -> str:
        """Where it was said, in words."""
        place = f"{full(self.hit.start_ms)} of {self.recording.title!r} ({self.recording.recording_id})"
        if self.has_sound:
            return f"It was said at {place}."
        return f"It was said live at {place}; live sound is not kept."

    def text(self) -> Text:
        """What was said around it, the hit in bold."""
        lines = [
            Text.assemble(
                (f"{full(segment.start_ms):>8}  ", "cyan"),
                (segment.text, "bold" if segment.segment_id == self.hit.segment_id else ""),
            )
            for segment in self.segments
        ]
        return Text("\n").join(lines)


async def moment(connection: Connection, hit: hit_pb2.Hit) -> Moment:
    """Reads the recording and the transcript of the hit, which may be of one channel of several. Raises Refusal
    (NOT_FOUND)."""
    library = Library(connection)
    recording = await library.recording(hit.recording_id)
    start, end = hit.start_ms - AROUND_MS, hit.end_ms + AROUND_MS
    said = await library.segments(hit.recording_id, hit.transcript_id)
    return Moment(hit, recording, [one for one in said if one.end_ms > start and one.start_ms < end])
