"""From the domain to the messages of the contract."""

from ai2text.asr.v1 import result_pb2, session_pb2, speech_service_pb2
from google.protobuf import duration_pb2

from servers.asr.endpointing import EndpointRules
from servers.asr.results import (
    Cursors,
    Event,
    Final,
    Partial,
    Refinement,
    SpeechEnded,
    SpeechStarted,
    Status,
    TimedWord,
    Times,
)


def event(happened: Event) -> speech_service_pb2.StreamingRecognizeResponse:
    """One message of a live stream."""
    response = speech_service_pb2.StreamingRecognizeResponse(cursors=cursors(happened.cursors))
    match happened.happening:
        case SpeechStarted(start_ms, channel):
            response.speech_started.MergeFrom(speech_service_pb2.SpeechStarted(start_ms=start_ms, channel=channel))
        case SpeechEnded(end_ms, channel):
            response.speech_ended.MergeFrom(speech_service_pb2.SpeechEnded(end_ms=end_ms, channel=channel))
        case Partial() as partial:
            response.partial.CopyFrom(_partial(partial))
        case Final() as result:
            response.final.CopyFrom(final(result))
        case Refinement() as refinement:
            response.refinement.CopyFrom(_refinement(refinement))
        case Status() as status:
            response.status.CopyFrom(_status(status))
    return response


def final(result: Final) -> result_pb2.FinalResult:
    """The text of one utterance."""
    return result_pb2.FinalResult(
        final_index=result.final_index,
        text=result.text,
        words=[_word(word) for word in result.words],
        start_ms=result.start_ms,
        end_ms=result.end_ms,
        language_code=result.language,
        confidence=result.confidence,
        channel=result.channel,
        processing_times=_times(result.times),
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
        words=[_word(word) for word in partial.words],
        channel=partial.channel,
        processing_times=_times(partial.times),
        complete=partial.complete,
    )


def _refinement(refinement: Refinement) -> result_pb2.RefinementResult:
    return result_pb2.RefinementResult(
        final_index=refinement.final_index,
        text=refinement.text,
        words=[_word(word) for word in refinement.words],
        language_code=refinement.language,
        confidence=refinement.confidence,
        channel=refinement.channel,
        processing_times=_times(refinement.times),
    )


def endpointing(rules: EndpointRules) -> session_pb2.Endpointing:
    """What GetCapabilities tells."""
    return session_pb2.Endpointing(
        pause=duration(rules.pause_ms / 1000),
        silence=duration(rules.silence_ms / 1000),
        long_utterance_silence=duration(rules.long_utterance_silence_ms / 1000),
        max_utterance=duration(rules.max_utterance_ms / 1000),
        start_probability=rules.start_probability,
        stop_probability=rules.stop_probability,
    )


def duration(seconds: float) -> duration_pb2.Duration:
    """Seconds as the contract has them, to the microsecond."""
    converted = duration_pb2.Duration()
    converted.FromMicroseconds(round(seconds * 1e6))
    return converted


def _word(word: TimedWord) -> result_pb2.Word:
    return result_pb2.Word(text=word.text, start_ms=word.start_ms, end_ms=word.end_ms, confidence=word.confidence)


def _times(times: Times) -> result_pb2.ProcessingTimes:
    return result_pb2.ProcessingTimes(
        queue=duration(times.queue_s), inference=duration(times.inference_s), post_processing=duration(times.post_s)
    )


def _status(status: Status) -> session_pb2.SessionStatus:
    closing = None if status.closing_in_s is None else duration(status.closing_in_s)
    return session_pb2.SessionStatus(
        credit=duration(status.credit_ms / 1000),
        partial_interval=duration(status.partial_every_ms / 1000),
        closing_in=closing,
    )
