"""The nouns of the contract and those of the domain, translated into each other."""

from datetime import UTC, datetime

from ai2text.metadata.v1 import (
    media_pb2,
    recording_pb2,
    recording_service_pb2,
    transcript_pb2,
    transcript_service_pb2,
)
from google.protobuf.timestamp_pb2 import Timestamp

from servers.common.errors import FieldInvalid
from servers.metadata import fields, listings
from servers.metadata.files import File, MediaInfo, StoredObject
from servers.metadata.formats import Format
from servers.metadata.library import Draft, Update
from servers.metadata.listings import Order, Selection
from servers.metadata.recordings import Recording, Source
from servers.metadata.transcripts import Segment, Transcript, Word, check_counts

_SOURCES = {
    recording_pb2.RECORDING_SOURCE_LIVE: Source.LIVE,
    recording_pb2.RECORDING_SOURCE_FILE: Source.FILE,
}
_SOURCE_VALUES = {source: value for value, source in _SOURCES.items()}
_ORDERS = {
    recording_service_pb2.RECORDING_ORDER_UNSPECIFIED: Order.NEWEST,
    recording_service_pb2.RECORDING_ORDER_NEWEST: Order.NEWEST,
    recording_service_pb2.RECORDING_ORDER_OLDEST: Order.OLDEST,
    recording_service_pb2.RECORDING_ORDER_TITLE: Order.TITLE,
    recording_service_pb2.RECORDING_ORDER_LONGEST: Order.LONGEST,
}
_FORMATS = {
    transcript_service_pb2.EXPORT_FORMAT_SRT: Format.SRT,
    transcript_service_pb2.EXPORT_FORMAT_VTT: Format.VTT,
    transcript_service_pb2.EXPORT_FORMAT_JSON: Format.JSON,
    transcript_service_pb2.EXPORT_FORMAT_TXT: Format.TXT,
}


def draft(request: recording_service_pb2.CreateRecordingRequest) -> Draft:
    """A new recording as given; nothing is checked yet."""
    return Draft(
        request.title,
        _SOURCES.get(request.source),
        request.recording_id,
        request.language_code,
        _from_object(request.object) if request.HasField("object") else None,
        _from_media(request.media) if request.HasField("media") else None,
        request.labels,
    )


def update(request: recording_service_pb2.UpdateRecordingRequest) -> Update:
    """A change as given; nothing is checked yet."""
    given, mask = request.recording, request.update_mask.paths
    return Update(given.recording_id, given.title, given.language_code, given.labels, mask, given.etag)


def selection(request: recording_service_pb2.ListRecordingsRequest) -> Selection:
    """Which recordings are asked for; FieldInvalid."""
    return listings.selection(
        fields.known("source", _SOURCES.get(request.source)) if request.source else None,
        request.language_code,
        request.title_contains,
        request.labels,
        _time("created_after", request.created_after) if request.HasField("created_after") else None,
        _time("created_before", request.created_before) if request.HasField("created_before") else None,
        fields.known("order", _ORDERS.get(request.order)),
    )


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
        labels=stored.content.labels,
        etag=stored.etag,
    )
    if file := stored.content.file:
        _write_file(file, message)
    message.create_time.FromDatetime(stored.create_time)
    message.update_time.FromDatetime(stored.update_time)
    return message


def transcript(stored: Transcript) -> transcript_pb2.Transcript:
    """A transcript as answered."""
    message = transcript_pb2.Transcript(
        transcript_id=stored.transcript_id,
        recording_id=stored.content.recording_id,
        model=stored.content.model,
        channel=stored.content.channel,
        segment_count=stored.segment_count,
        incomplete=stored.incomplete,
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
        raw_text=stored.raw_text,
    )


def segments(request: transcript_service_pb2.AppendSegmentsRequest) -> list[Segment]:
    """Those of an append as given; only how many there are is checked yet, and how many words: FieldInvalid."""
    check_counts(len(request.segments), (len(segment.words) for segment in request.segments))
    return list(map(_from_segment, request.segments))


def _from_segment(message: transcript_pb2.Segment) -> Segment:
    return Segment(
        message.segment_index,
        message.text,
        message.start_ms,
        message.end_ms,
        message.language_code,
        message.confidence,
        tuple(Word(word.text, word.start_ms, word.end_ms, word.confidence) for word in message.words),
        message.raw_text,
    )


def _word(word: Word) -> transcript_pb2.SegmentWord:
    return transcript_pb2.SegmentWord(
        text=word.text, start_ms=word.start_ms, end_ms=word.end_ms, confidence=word.confidence
    )


def _from_object(message: media_pb2.StoredObject) -> StoredObject:
    return StoredObject(message.key, message.size_bytes, message.sha256, message.crc32c)


def _from_media(message: media_pb2.MediaInfo) -> MediaInfo:
    return MediaInfo(
        message.container, message.codec, message.sample_rate_hz, message.channel_count, message.duration_ms
    )


def _write_file(file: File, message: recording_pb2.Recording) -> None:
    message.object.key = file.object.key
    message.object.size_bytes = file.object.size_bytes
    message.object.sha256 = file.object.sha256
    message.object.crc32c = file.object.crc32c
    message.media.container = file.media.container
    message.media.codec = file.media.codec
    message.media.sample_rate_hz = file.media.sample_rate_hz
    message.media.channel_count = file.media.channel_count
    message.media.duration_ms = file.media.duration_ms


def _time(field: str, message: Timestamp) -> datetime:
    try:
        return message.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise FieldInvalid(field, "is no time") from error
