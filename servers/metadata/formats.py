"""The file formats of a transcript. Each is written segment by segment: an opening, a piece for each, a closing.

SubRip has no standard; this is what players agree on. WebVTT: https://www.w3.org/TR/webvtt1/
"""

import json
from enum import Enum
from typing import Any, Protocol

from servers.metadata.cues import Cue, cues, plain
from servers.metadata.recordings import Recording
from servers.metadata.transcripts import Segment, Transcript, Word


class Format(Enum):
    """What a transcript can be exported as."""

    SRT = "srt"
    VTT = "vtt"
    JSON = "json"
    TXT = "txt"


class Writer(Protocol):
    """Writes one file: `opening`, then each segment in order, then `closing`."""

    def opening(self) -> str:
        """What comes before the first segment."""

    def segment(self, segment: Segment) -> str:
        """The text of the next segment."""

    def closing(self) -> str:
        """What comes after the last segment."""


def writer(format: Format, recording: Recording, transcript: Transcript) -> Writer:
    """A writer of one file."""
    match format:
        case Format.SRT:
            return SubRip()
        case Format.VTT:
            return WebVtt()
        case Format.JSON:
            return Json(recording, transcript)
        case Format.TXT:
            return PlainText()


class SubRip:
    """SubRip: numbered cues, parted by empty lines."""

    def __init__(self) -> None:
        self._number = 0

    def opening(self) -> str:
        """Nothing."""
        return ""

    def segment(self, segment: Segment) -> str:
        """Its cues."""
        return "".join(self._cue(cue) for cue in cues(segment))

    def closing(self) -> str:
        """Nothing."""
        return ""

    def _cue(self, cue: Cue) -> str:
        self._number += 1
        text = "\n".join(cue.lines).replace("-->", "→")
        return f"{self._number}\n{clock(cue.start_ms, ',')} --> {clock(cue.end_ms, ',')}\n{text}\n\n"


class WebVtt:
    """WebVTT: cues without identifiers, their text escaped."""

    def opening(self) -> str:
        """The signature."""
        return "WEBVTT\n"

    def segment(self, segment: Segment) -> str:
        """Its cues."""
        return "".join(self._cue(cue) for cue in cues(segment))

    def closing(self) -> str:
        """Nothing."""
        return ""

    def _cue(self, cue: Cue) -> str:
        text = "\n".join(cue.lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return f"\n{clock(cue.start_ms, '.')} --> {clock(cue.end_ms, '.')}\n{text}\n"


class PlainText:
    """A line for each segment."""

    def opening(self) -> str:
        """Nothing."""
        return ""

    def segment(self, segment: Segment) -> str:
        """Its text on one line."""
        return plain(segment.text) + "\n"

    def closing(self) -> str:
        """Nothing."""
        return ""


class Json:
    """One JSON object: the recording, the transcript, its segments with their words. Times are milliseconds."""

    def __init__(self, recording: Recording, transcript: Transcript) -> None:
        self._recording = recording
        self._transcript = transcript
        self._parted = ""

    def opening(self) -> str:
        """Everything before the segments."""
        head = {
            "recording_id": self._recording.recording_id,
            "title": self._recording.content.title,
            "language_code": self._recording.language_code,
            "transcript_id": self._transcript.transcript_id,
            "model": self._transcript.content.model,
            "channel": self._transcript.content.channel,
            "create_time": self._transcript.create_time.isoformat(),
        }
        return _json(head).removesuffix("}") + ', "segments": ['

    def segment(self, segment: Segment) -> str:
        """One object, on a line of its own."""
        parted, self._parted = self._parted, ","
        return f"{parted}\n{_json(_segment(self._transcript.transcript_id, segment))}"

    def closing(self) -> str:
        """The ends of list and object."""
        return "\n]}\n"


def clock(time_ms: int, point: str) -> str:
    """`HH:MM:SS` with milliseconds after `point`."""
    seconds, ms = divmod(time_ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{ms:03d}"


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _segment(transcript_id: str, segment: Segment) -> dict[str, Any]:
    return {
        "segment_id": segment.id_in(transcript_id),
        "segment_index": segment.index,
        "text": segment.text,
        "raw_text": segment.raw_text,
        "start_ms": segment.start_ms,
        "end_ms": segment.end_ms,
        "language_code": segment.language_code,
        "confidence": segment.confidence,
        "words": [_word(word) for word in segment.words],
    }


def _word(word: Word) -> dict[str, Any]:
    return {
        "text": word.text,
        "start_ms": word.start_ms,
        "end_ms": word.end_ms,
        "confidence": word.confidence,
    }
