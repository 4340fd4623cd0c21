"""The answers of a live stream as records for scripts."""

from typing import Any

from ai2text.asr.v1 import result_pb2, session_pb2, speech_service_pb2

from clients.cli import finals
from clients.cli.stream import Heard


def event_record(heard: Heard) -> dict[str, Any]:
    """An answer as a script reads it: always type, text, start_ms, end_ms and latency_ms, null where it has none."""
    response = heard.response
    kind = response.WhichOneof("event") or "cursors"
    base = {"text": None, "start_ms": None, "end_ms": None, "latency_ms": heard.latency_ms}
    match kind:
        case "session_started":
            return {"type": "session"} | base | _session(response.session_started)
        case "speech_started":
            started = response.speech_started
            return {"type": kind} | base | {"start_ms": started.start_ms, "channel": started.channel}
        case "speech_ended":
            ended = response.speech_ended
            return {"type": kind} | base | {"end_ms": ended.end_ms, "channel": ended.channel}
        case "partial":
            return {"type": kind} | base | _partial(response.partial)
        case "final":
            times = {"processing_times": _times(response.final.processing_times)}
            return {"type": kind} | base | finals.record(response.final) | times
        case "refinement":
            return {"type": kind} | base | _refinement(response.refinement)
        case "status":
            return {"type": kind} | base | _status(response.status)
    return {"type": kind} | base


def _session(session: speech_service_pb2.SessionStarted) -> dict[str, Any]:
    """Without its `resume_token`: that is a secret, and output is kept in files."""
    return {
        "session_id": session.session_id,
        "recording_id": session.recording_id,
        "transcript_id": session.transcript_id,
        "transcript_ids": list(session.transcript_ids),
        "replay_from_ms": session.replay_from_ms,
        "server_version": session.server_version,
    }


def _partial(partial: result_pb2.PartialResult) -> dict[str, Any]:
    return {
        "text": partial.stable_text + partial.unstable_text,
        "start_ms": partial.start_ms,
        "end_ms": partial.end_ms,
        "stable_text": partial.stable_text,
        "complete": partial.complete,
        "language_code": partial.language_code,
        "channel": partial.channel,
        "words": [finals.word_record(word) for word in partial.words],
        "processing_times": _times(partial.processing_times),
    }


def _refinement(refinement: result_pb2.RefinementResult) -> dict[str, Any]:
    return {
        "text": refinement.text,
        "final_index": refinement.final_index,
        "language_code": refinement.language_code,
        "channel": refinement.channel,
        "confidence": round(refinement.confidence, 4),
        "words": [finals.word_record(word) for word in refinement.words],
        "processing_times": _times(refinement.processing_times),
    }


def _status(status: session_pb2.SessionStatus) -> dict[str, Any]:
    """Null where the server said nothing."""
    fields = ("credit", "partial_interval", "closing_in")
    return {
        f"{field}_ms": getattr(status, field).ToMilliseconds() if status.HasField(field) else None for field in fields
    }


def _times(times: result_pb2.ProcessingTimes) -> dict[str, float]:
    fields = ("queue", "inference", "post_processing")
    return {f"{field}_ms": round(getattr(times, field).ToMicroseconds() / 1000, 1) for field in fields}
