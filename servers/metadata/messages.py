"""The nouns of the contract and those of the domain, translated into each other."""

from ai2text.metadata.v1 import recording_pb2, transcript_pb2, transcript_service_pb2

from servers.metadata.formats import Format
from servers.metadata.recordings import Recording, Source
from servers.metadata.transcripts import Segment, Transcript, Word

_SOURCES = {
    recording_pb2.RECORDING_SOURCE_LIVE: Source.LIVE,
    recording_pb2.RECORDING_SOURCE_FILE: Source.FILE,
}
_SOURCE_VALUES = {source: value for value, source in _SOURCES.items()}
_FORMATS = {
    transcript_service_pb2.EXPORT_FORMAT_SRT: Format.SRT,
    transcript_service_pb2.EXPORT_FORMAT_VTT: Format.VTT,
    transcript_service_pb2.EXPORT_FORMAT_JSON: Format.JSON,
    transcript_service_pb2.EXPORT_FORMAT_TXT: Format.TXT,
}


def source(value: recording_pb2.RecordingSource) -> Source | None:
    """The source that a request names; None when it names none that there is."""
    return _SOURCES.get(value)


def export_format(value: transcript_service_pb2.ExportFormat) -> Format | None:
    """The format that a request names; None when it names none that there is."""
    return _FORMATS.get(value)


def recording(stored: Recording) -> recording_pb2.Recording:
    """A recording as answered."""
    message = recording_pb2.Recording(
        recording_id=stored.recording_id,
        title=stored.content.title,
        source=_SOURCE_VALUES[stored.content.source],
        language_code=stored.language_code,
        duration_ms=stored.duration_ms,
        segment_count=stored.segment_count,
    )
    message.create_time.FromDatetime(stored.create_time)
    message.update_time.FromDatetime(stored.update_time)
    return message


def transcript(stored: Transcript) -> transcript_pb2.Transcript:
    """A transcript as answered."""
    message = transcript_pb2.Transcript(
        transcript_id=stored.transcript_id,
        recording_id=stored.content.recording_id,
        model=stored.content.model,
        segment_count=stored.segment_count,
    )
    message.create_time.FromDatetime(stored.create_time)
    return message


def segment(transcript_id: str, stored: Segment) -> transcript_pb2.Segment:
    """A segment as answered."""
    return transcript_pb2.Segment(
        segment_id=stored.id_in(transcript_id),
        segment_index=stored.index,
        text=stored.text,
        start_ms=stored.start_ms,
        end_ms=stored.end_ms,
        language_code=stored.language_code,
        confidence=stored.confidence,
        words=map(_word, stored.words),
    )


def from_segment(message: transcript_pb2.Segment) -> Segment:
    """A segment as given; nothing is checked yet."""
    return Segment(
        message.segment_index,
        message.text,
        message.start_ms,
        message.end_ms,
        message.language_code,
        message.confidence,
        tuple(Word(word.text, word.start_ms, word.end_ms, word.confidence) for word in message.words),
    )


def _word(word: Word) -> transcript_pb2.SegmentWord:
    return transcript_pb2.SegmentWord(
        text=word.text, start_ms=word.start_ms, end_ms=word.end_ms, confidence=word.confidence
    )
