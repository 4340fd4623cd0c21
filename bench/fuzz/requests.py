"""A request for each method that is in order, which cases then spoil; and what is worth sending in fields.

Names in angle brackets stand for what is there when a case is sent: see `Ground.names`.
"""

import hashlib
import io
from collections.abc import Sequence
from typing import Any

import av
import numpy as np
from ai2text.admin.v1 import dead_letter_service_pb2 as dead
from ai2text.asr.v1 import audio_pb2, session_pb2
from ai2text.asr.v1 import live_session_service_pb2 as live
from ai2text.asr.v1 import speech_service_pb2 as speech
from ai2text.embeddings.v1 import embedding_pb2
from ai2text.embeddings.v1 import embedding_service_pb2 as embeddings
from ai2text.ingestion.v1 import ingestion_service_pb2 as ingestion
from ai2text.metadata.v1 import media_pb2, recording_pb2, transcript_pb2
from ai2text.metadata.v1 import recording_service_pb2 as recordings
from ai2text.metadata.v1 import retelling_service_pb2 as retellings
from ai2text.metadata.v1 import transcript_service_pb2 as transcripts
from ai2text.nlp.v1 import text_service_pb2 as nlp
from ai2text.search.v1 import filter_pb2
from ai2text.search.v1 import index_service_pb2 as index
from ai2text.search.v1 import search_service_pb2 as search
from google.longrunning import operations_pb2
from google.protobuf import duration_pb2, field_mask_pb2
from google.protobuf.message import Message

from bench.fuzz import values

WAV = values.wav(0.3)
PCM = bytes(2 * 1600)
"""A tenth of a second of silence."""


def config() -> speech.StreamingConfig:
    """A short live session that is stored."""
    linear = audio_pb2.AudioFormat(encoding=audio_pb2.AUDIO_ENCODING_LINEAR16, sample_rate_hz=16_000)
    return speech.StreamingConfig(format=linear, language_code="vi", title="Fuzz")


def live_recording() -> recordings.CreateRecordingRequest:
    """One without a file."""
    return recordings.CreateRecordingRequest(
        title="Fuzz", source=recording_pb2.RECORDING_SOURCE_LIVE, labels={"a": "b"}
    )


def segments(transcript_id: str) -> transcripts.AppendSegmentsRequest:
    """Three of them."""
    said = [
        transcript_pb2.Segment(
            segment_index=index,
            text="một hai ba",
            start_ms=1000 * index,
            end_ms=1000 * index + 900,
            language_code="vi",
            confidence=0.9,
            words=[
                transcript_pb2.SegmentWord(text="một", start_ms=1000 * index, end_ms=1000 * index + 300, confidence=0.9)
            ],
        )
        for index in range(3)
    ]
    return transcripts.AppendSegmentsRequest(transcript_id=transcript_id, segments=said)


def upload_file(request_id: str) -> ingestion.UploadFile:
    """The file that WAV is."""
    return ingestion.UploadFile(
        request_id=request_id, title="Fuzz", size_bytes=len(WAV), sha256=hashlib.sha256(WAV).digest(), labels={"a": "b"}
    )


def narrowed_search() -> search.SearchRequest:
    """One with every filter."""
    narrowed = filter_pb2.SearchFilter(labels={"a": "b"}, start_ms=1, end_ms=900, channels=[0, 1])
    narrowed.recorded_after.seconds, narrowed.recorded_before.seconds = 0, 253_402_300_799
    return search.SearchRequest(
        query="một hai", recording_ids=["<recording>"], filter=narrowed, group_by_recording=True, explain=True
    )


def document() -> index.IndexDocument:
    """A segment with its vector."""
    return index.IndexDocument(
        recording_id="<recording>", segment_id="<new>", end_ms=900, text="một hai", model="fuzz", vector=[0.6, 0.8]
    )


def good() -> dict[str, Sequence[Message]]:
    """The messages of a call in order, by the method's name as people know it."""
    wav = audio_pb2.AudioFormat(encoding=audio_pb2.AUDIO_ENCODING_WAV)
    resume = session_pb2.Resume(session_id="<session>", resume_token="<secret>")
    push = live.PushAudioRequest(session_id="<session>", resume_token="<secret>", audio=PCM)
    watch = live.WatchSessionRequest(session_id="<session>", resume_token="<secret>")
    close = live.CloseSessionRequest(session_id="<session>", resume_token="<secret>")
    message, request = speech.StreamingRecognizeRequest, ingestion.UploadRecordingRequest
    silence = speech.Silence(duration=duration_pb2.Duration(seconds=1))
    stored = media_pb2.StoredObject(key="<key>", size_bytes=len(WAV), sha256=hashlib.sha256(WAV).digest())
    media = media_pb2.MediaInfo(
        container="wav", codec="pcm_s16le", sample_rate_hz=16_000, channel_count=1, duration_ms=300
    )
    selection = dead.DeadLetterSelection(dead_letter_ids=["<letter>"])
    return {
        "SpeechService.StreamingRecognize": [
            message(config=config()),
            message(audio=PCM),
            message(silence=silence),
            message(force_end_of_utterance=speech.ForceEndOfUtterance()),
            message(keepalive=speech.Keepalive()),
        ],
        "SpeechService.Recognize": [speech.RecognizeRequest(format=wav, audio=WAV, language_code="vi")],
        "SpeechService.BatchRecognize": [speech.BatchRecognizeRequest(request_id="<new>", recording_ids=["<file>"])],
        "SpeechService.GetCapabilities": [speech.GetCapabilitiesRequest()],
        "LiveSessionService.OpenSession": [live.OpenSessionRequest(resume=resume)],
        "LiveSessionService.PushAudio": [push],
        "LiveSessionService.WatchSession": [watch],
        "LiveSessionService.CloseSession": [close],
        "Operations.ListOperations": [operations_pb2.ListOperationsRequest(name="operations")],
        "Operations.GetOperation": [operations_pb2.GetOperationRequest(name="<operation>")],
        "Operations.DeleteOperation": [operations_pb2.DeleteOperationRequest(name="<operation>")],
        "Operations.CancelOperation": [operations_pb2.CancelOperationRequest(name="<operation>")],
        "Operations.WaitOperation": [
            operations_pb2.WaitOperationRequest(name="<operation>", timeout=duration_pb2.Duration(seconds=1))
        ],
        "EmbeddingService.Embed": [embeddings.EmbedRequest(text="xin chào", kind=embedding_pb2.EMBEDDING_KIND_QUERY)],
        "EmbeddingService.Rerank": [embeddings.RerankRequest(query="mưa", texts=["một", "trời mưa"])],
        "EmbeddingService.BatchEmbed": [
            embeddings.BatchEmbedRequest(texts=["một", "hai"], kind=embedding_pb2.EMBEDDING_KIND_PASSAGE)
        ],
        "RecordingService.CreateRecording": [
            recordings.CreateRecordingRequest(
                recording_id="<new>",
                title="Fuzz",
                source=recording_pb2.RECORDING_SOURCE_FILE,
                object=stored,
                media=media,
            )
        ],
        "RecordingService.GetRecording": [recordings.GetRecordingRequest(recording_id="<recording>")],
        "RecordingService.ListRecordings": [recordings.ListRecordingsRequest(title_contains="fuzz", labels=["a=b"])],
        "RecordingService.UpdateRecording": [
            recordings.UpdateRecordingRequest(
                recording=recording_pb2.Recording(recording_id="<recording>", title="Fuzz again", labels={"c": "d"}),
                update_mask=field_mask_pb2.FieldMask(paths=["title", "labels"]),
            )
        ],
        "RecordingService.DeleteRecording": [recordings.DeleteRecordingRequest(recording_id="<recording>")],
        "RecordingService.FindObjects": [recordings.FindObjectsRequest(keys=["<key>"])],
        "TranscriptService.CreateTranscript": [
            transcripts.CreateTranscriptRequest(recording_id="<recording>", transcript_id="<new>", model="by hand")
        ],
        "TranscriptService.ListTranscripts": [transcripts.ListTranscriptsRequest(recording_id="<recording>")],
        "TranscriptService.AppendSegments": [segments("<transcript>")],
        "TranscriptService.ListSegments": [transcripts.ListSegmentsRequest(transcript_id="<transcript>", page_size=1)],
        "TranscriptService.ExportTranscript": [
            transcripts.ExportTranscriptRequest(recording_id="<recording>", format=transcripts.EXPORT_FORMAT_SRT)
        ],
        "SearchService.Search": [narrowed_search()],
        "SearchService.BatchSearch": [
            search.BatchSearchRequest(requests=[narrowed_search(), search.SearchRequest(query="hai")])
        ],
        "IndexService.GetIndexStats": [index.GetIndexStatsRequest()],
        "IndexService.CreateSnapshot": [index.CreateSnapshotRequest()],
        "IndexService.CompactIndex": [index.CompactIndexRequest()],
        "IndexService.UpsertDocuments": [index.UpsertDocumentsRequest(documents=[document()])],
        "IndexService.DeleteDocuments": [index.DeleteDocumentsRequest(segment_ids=["<new>"])],
        "TextService.Refine": [nlp.RefineRequest(text="ngày mười hai tháng năm năm hai nghìn không trăm hai sáu")],
        "IngestionService.UploadRecording": [
            request(file=upload_file("<new>")),
            request(chunk=WAV[:1000]),
            request(chunk=WAV[1000:]),
        ],
        "IngestionService.CreateUpload": [ingestion.CreateUploadRequest(file=upload_file("<new>"))],
        "IngestionService.CompleteUpload": [ingestion.CompleteUploadRequest(upload_id="<upload>")],
        "IngestionService.CreateDownload": [ingestion.CreateDownloadRequest(recording_id="<file>")],
        "RetellingService.RetellRecordings": [retellings.RetellRecordingsRequest(tenant="nobody")],
        "DeadLetterService.ListDeadLetters": [dead.ListDeadLettersRequest(page_size=2)],
        "DeadLetterService.GetDeadLetter": [dead.GetDeadLetterRequest(dead_letter_id="<letter>")],
        "DeadLetterService.ReplayDeadLetters": [dead.ReplayDeadLettersRequest(selection=selection)],
        "DeadLetterService.DiscardDeadLetters": [dead.DiscardDeadLettersRequest(selection=selection)],
    }


def hints() -> values.Hints:
    """What is worth sending, by the name of the field."""
    languages, ids = ("vi", "en", "xx", "vi-VN"), ("<recording>", "<file>", "<transcript>", "<new>")
    sounds = (PCM, WAV, WAV[:60], WAV[:44], PCM[:1], *(encoded(form, codec) for form, codec in FORMS))
    return {
        "recording_id": ids,
        "recording_ids": ids,
        "transcript_id": ids,
        "request_id": ids,
        "upload_id": ("<upload>", *ids),
        "session_id": ("<session>", *ids),
        "resume_token": ("<secret>",),
        "name": ("operations", "<operation>", "operations/<new>"),
        "filter": ("done=true", "done=false"),
        "page_token": ("<search page>", "<recordings page>", "<segments page>", "<operations page>", "<letters page>"),
        "etag": ("<etag>",),
        "dead_letter_id": ("<letter>",),
        "dead_letter_ids": ("<letter>",),
        "subject": ("transcript.finalized", "recording.uploaded", "transcript.*", "$JS.API.INFO"),
        "keys": ("<key>", "<tenant>/abc"),
        "key": ("<key>", "a/b"),
        "labels": ("a=b", "a", "=", "a=b=c"),
        "paths": ("title", "language_code", "labels", "etag", "*", "recording.title", "labels.a"),
        "language_code": languages,
        "language_codes": languages,
        "sample_rate_hz": (0, 8000, 16_000, 44_100, 48_000),
        "channel_count": (0, 1, 2, 8, 9),
        "sequence": (0, 1, 2),
        "audio": sounds,
        "chunk": sounds,
        "sha256": (hashlib.sha256(WAV).digest(), hashlib.sha256(b"").digest(), b"\0" * 31),
        "size_bytes": (len(WAV), 0, -1, 2 << 30, (2 << 30) + 1),
        "page_size": (0, 1, 1000, 1001),
        "seconds": (0, 1, -1, 60, 315_576_000_000, -62_135_596_801, 253_402_300_800),
        "nanos": (0, 64_000_000, -1, 999_999_999, 1_000_000_000),
    }


FORMS = (("flac", "flac"), ("ogg", "libopus"), ("webm", "libopus"), ("mp3", "libmp3lame"))


def encoded(form: str, codec: str) -> bytes:
    """A fifth of a second of a tone in one of the containers."""
    file = io.BytesIO()
    with av.open(file, "w", format=form) as output:
        stream: Any = output.add_stream(codec, rate=48_000, layout="mono")
        tone = (8000 * np.sin(np.arange(9600) * 2 * np.pi * 440 / 48_000)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(tone[None, :], format="s16", layout="mono")
        frame.sample_rate = 48_000
        frame.pts = 0
        output.mux([*stream.encode(frame), *stream.encode(None)])
    return file.getvalue()
