"""The file formats of transcripts. Each is written segment by segment: an opening, a piece for each, a closing.

Where a file has what was said in several channels, each segment or cue says in which. SubRip has no standard; this is
what players agree on. WebVTT: https://www.w3.org/TR/webvtt1/
"""

import heapq
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
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
    """Writes one file: `opening`, then each segment by the time when it begins, then `closing`."""

    def opening(self) -> str:
        """What comes before the first segment."""

    def segment(self, transcript: Transcript, segment: Segment) -> str:
        """What can be written now that the next segment is known; it may hold back what comes later in the file."""

    def closing(self) -> str:
        """The rest."""


def writer(format: Format, recording: Recording, transcripts: Sequence[Transcript]) -> Writer:
    """A writer of one file with the segments of these transcripts, each of another channel."""
    match format:
        case Format.SRT:
            return SubRip(len(transcripts) > 1)
        case Format.VTT:
            return WebVtt(len(transcripts) > 1)
        case Format.JSON:
            return Json(recording, transcripts)
        case Format.TXT:
            return PlainText(len(transcripts) > 1)


class _Subtitles(ABC):
    """Cues by the times when they begin, as WebVTT demands, where segments overlap, too."""

    head = ""

    def __init__(self, several: bool) -> None:
        """`several`: channels, of which each cue says its own."""
        self._several = several
        self._waiting: list[tuple[int, int, str, Cue]] = []
        """Not written yet, since others may begin before them: a heap by time and by how they came."""
        self._come = 0

    def opening(self) -> str:
        """What the format begins with."""
        return self.head

    def segment(self, transcript: Transcript, segment: Segment) -> str:
        """The cues that begin before the segment; its own wait."""
        before = self._until(segment.start_ms)
        channel = str(transcript.content.channel) if self._several else ""
        for cue in cues(segment):
            heapq.heappush(self._waiting, (cue.start_ms, self._come, channel, cue))
            self._come += 1
        return before

    def closing(self) -> str:
        """The cues that are left."""
        return self._until(None)

    def _until(self, time_ms: int | None) -> str:
        written = []
        while self._waiting and (time_ms is None or self._waiting[0][0] <= time_ms):
            _, _, channel, cue = heapq.heappop(self._waiting)
            written.append(self._cue(channel, cue))
        return "".join(written)

    @abstractmethod
    def _cue(self, channel: str, cue: Cue) -> str:
        """As the format writes it; `channel` is empty where there is one."""


class SubRip(_Subtitles):
    """SubRip: numbered cues, parted by empty lines."""

    def __init__(self, several: bool = False) -> None:
        super().__init__(several)
        self._number = 0

    def _cue(self, channel: str, cue: Cue) -> str:
        self._number += 1
        text = _marked(channel) + "\n".join(cue.lines).replace("-->", "→")
        return f"{self._number}\n{clock(cue.start_ms, ',')} --> {clock(cue.end_ms, ',')}\n{text}\n\n"


class WebVtt(_Subtitles):
    """WebVTT: cues without identifiers, their text escaped; the channel is their voice."""

    head = "WEBVTT\n"

    def _cue(self, channel: str, cue: Cue) -> str:
        voice = f"<v Channel {channel}>" if channel else ""
        text = "\n".join(cue.lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return f"\n{clock(cue.start_ms, '.')} --> {clock(cue.end_ms, '.')}\n{voice}{text}\n"


class PlainText:
    """A line for each segment."""

    def __init__(self, several: bool = False) -> None:
        """`several`: channels, of which each line says its own."""
        self._several = several

    def opening(self) -> str:
        """Nothing."""
        return ""

    def segment(self, transcript: Transcript, segment: Segment) -> str:
        """Its text on one line."""
        channel = str(transcript.content.channel) if self._several else ""
        return f"{_marked(channel)}{plain(segment.text)}\n"

    def closing(self) -> str:
        """Nothing."""
        return ""


class Json:
    """One JSON object: the recording, its transcripts, their segments with their words. Times are milliseconds."""

    def __init__(self, recording: Recording, transcripts: Sequence[Transcript]) -> None:
        self._recording = recording
        self._transcripts = transcripts
        self._parted = ""

    def opening(self) -> str:
        """Everything before the segments. What there is to say of a single transcript stands beside the recording,
        too."""
        told = [_transcript(transcript) for transcript in self._transcripts]
        head = {
            "recording_id": self._recording.recording_id,
            "title": self._recording.content.title,
            "language_code": self._recording.language_code,
            **(told[0] if len(told) == 1 else {}),
            "transcripts": told,
        }
        return _json(head).removesuffix("}") + ', "segments": ['

    def segment(self, transcript: Transcript, segment: Segment) -> str:
        """One object, on a line of its own."""
        parted, self._parted = self._parted, ","
        return f"{parted}\n{_json(_segment(transcript, segment))}"

    def closing(self) -> str:
        """The ends of list and object."""
        return "\n]}\n"


def clock(time_ms: int, point: str) -> str:
    """`HH:MM:SS` with milliseconds after `point`."""
    seconds, ms = divmod(time_ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{ms:03d}"


def _marked(channel: str) -> str:
    """What stands before a text of that channel."""
    return f"[{channel}] " if channel else ""


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _transcript(transcript: Transcript) -> dict[str, Any]:
    return {
        "transcript_id": transcript.transcript_id,
        "model": transcript.content.model,
        "channel": transcript.content.channel,
        "create_time": transcript.create_time.isoformat(),
    }


def _segment(transcript: Transcript, segment: Segment) -> dict[str, Any]:
    return {
        "segment_id": segment.id_in(transcript.transcript_id),
        "segment_index": segment.index,
        "channel": transcript.content.channel,
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
