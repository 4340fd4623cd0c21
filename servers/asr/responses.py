"""From the domain to the messages of the contract."""

from ai2text.asr.v1 import result_pb2, speech_service_pb2

from servers.asr.results import Cursors, Event, Final, Partial, SpeechEnded, SpeechStarted


def event(happened: Event) -> speech_service_pb2.StreamingRecognizeResponse:
    """One message of a live stream."""
    response = speech_service_pb2.StreamingRecognizeResponse(cursors=cursors(happened.cursors))
    match happened.happening:
        case SpeechStarted(start_ms):
            response.speech_started.start_ms = start_ms
        case SpeechEnded(end_ms):
            response.speech_ended.end_ms = end_ms
        case Partial() as partial:
            response.partial.CopyFrom(_partial(partial))
        case Final() as result:
            response.final.CopyFrom(final(result))
    response.SetInParent()
    return response


def started(session_id: str, recording_id: str, transcript_id: str) -> speech_service_pb2.StreamingRecognizeResponse:
    """The first message of a live stream."""
    return speech_service_pb2.StreamingRecognizeResponse(
        cursors=result_pb2.Cursors(),
        session_started=speech_service_pb2.SessionStarted(
            session_id=session_id, recording_id=recording_id, transcript_id=transcript_id
        ),
    )


def final(result: Final) -> result_pb2.FinalResult:
    """The text of one utterance."""
    return result_pb2.FinalResult(
        final_index=result.final_index,
        text=result.text,
        words=[
            result_pb2.Word(text=word.text, start_ms=word.start_ms, end_ms=word.end_ms, confidence=word.confidence)
            for word in result.words
        ],
        start_ms=result.start_ms,
        end_ms=result.end_ms,
        language_code=result.language,
        confidence=result.confidence,
    )


def cursors(at: Cursors) -> result_pb2.Cursors:
    """How far a session has come."""
    return result_pb2.Cursors(
        received_ms=at.received_ms,
        processed_ms=at.processed_ms,
        final_ms=at.final_ms,
        final_index=at.final_index,
    )


def _partial(partial: Partial) -> result_pb2.PartialResult:
    return result_pb2.PartialResult(
        stable_text=partial.stable,
        unstable_text=partial.unstable,
        start_ms=partial.start_ms,
        end_ms=partial.end_ms,
        language_code=partial.language,
    )
