"""Everything that a session tells has its field in the contract: no two are mixed up, none is left out."""

import pytest
from ai2text.asr.v1 import speech_service_pb2
from google.protobuf.json_format import MessageToDict

from servers.asr import responses
from servers.asr.results import (
    Cursors,
    Event,
    Final,
    Happening,
    Partial,
    Refinement,
    SpeechEnded,
    SpeechStarted,
    Status,
    TimedWord,
    Times,
)

WORDS = (TimedWord("Xin", 11, 12, 0.25), TimedWord("chào", 13, 14, 0.5))
TOLD_WORDS = [
    {"text": "Xin", "start_ms": "11", "end_ms": "12", "confidence": 0.25},
    {"text": "chào", "start_ms": "13", "end_ms": "14", "confidence": 0.5},
]
TIMES = Times(0.001, 0.02, 0.3)
TOLD_TIMES = {"queue": "0.001s", "inference": "0.020s", "post_processing": "0.300s"}

HAPPENINGS: list[tuple[Happening, dict[str, object]]] = [
    (SpeechStarted(5, 1), {"speech_started": {"start_ms": "5", "channel": 1}}),
    (SpeechEnded(6, 2), {"speech_ended": {"end_ms": "6", "channel": 2}}),
    (
        Partial("Xin", " chào", WORDS, 7, 8, "vi", True, 3, TIMES),
        {
            "partial": {
                "stable_text": "Xin", "unstable_text": " chào", "words": TOLD_WORDS, "start_ms": "7", "end_ms": "8",
                "language_code": "vi", "complete": True, "channel": 3, "processing_times": TOLD_TIMES,
            }
        },
    ),
    (
        Final(9, "Xin chào.", WORDS, 10, 15, "en", 0.75, 4, TIMES),
        {
            "final": {
                "final_index": 9, "text": "Xin chào.", "words": TOLD_WORDS, "start_ms": "10", "end_ms": "15",
                "language_code": "en", "confidence": 0.75, "channel": 4, "processing_times": TOLD_TIMES,
            }
        },
    ),
    (
        Refinement(16, "Chào!", WORDS, "fr", 0.125, 5, TIMES),
        {
            "refinement": {
                "final_index": 16, "text": "Chào!", "words": TOLD_WORDS, "language_code": "fr", "confidence": 0.125,
                "channel": 5, "processing_times": TOLD_TIMES,
            }
        },
    ),
    (
        Status(20_000, 600, 2.5),
        {"status": {"credit": "20s", "partial_interval": "0.600s", "closing_in": "2.500s"}},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("happening", "told"), HAPPENINGS, ids=[type(each).__name__ for each, _ in HAPPENINGS])
def test_what_happens_is_told_field_by_field(happening: Happening, told: dict[str, object]) -> None:
    response = responses.event(Event(Cursors(400, 300, 200, 100), happening))
    cursors = {"received_ms": "400", "processed_ms": "300", "final_ms": "200", "final_index": 100}
    assert MessageToDict(response, preserving_proto_field_name=True) == {"cursors": cursors} | told


def test_every_event_of_the_contract_is_told_by_something() -> None:
    events = {field.name for field in speech_service_pb2.StreamingRecognizeResponse.DESCRIPTOR.oneofs[0].fields}
    assert {kind for _, told in HAPPENINGS for kind in told} == events - {"session_started"}


def test_a_server_that_goes_on_does_not_say_when_it_closes() -> None:
    status = responses.event(Event(Cursors(0, 0, 0, 0), Status(0, 600))).status
    assert not status.HasField("closing_in")
    assert status.HasField("credit")
