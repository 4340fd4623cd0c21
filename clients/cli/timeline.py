"""Where a session lies in the sound of its source: not at its beginning when an earlier session was forgotten."""

from dataclasses import dataclass
from typing import Any

from ai2text.asr.v1 import speech_service_pb2

Response = speech_service_pb2.StreamingRecognizeResponse

POSITIONS = ("received_ms", "processed_ms", "final_ms", "start_ms", "end_ms")
EVENTS = ("speech_started", "speech_ended", "partial", "final", "refinement")


@dataclass(frozen=True)
class Place:
    """The session begins at `begin_ms` of the sound, and `finals` came before its first."""

    begin_ms: int = 0
    finals: int = 0

    def shifted(self, response: Response) -> Response:
        """The same answer, with its times and its `final_index` counted from the beginning of the sound."""
        if self == Place():
            return response
        moved = Response()
        moved.CopyFrom(response)
        kind = moved.WhichOneof("event")
        happened = [getattr(moved, kind)] if kind in EVENTS else []
        words = [word for event in happened for word in getattr(event, "words", ())]
        for message in (moved.cursors, *happened, *words):
            self._shift(message)
        return moved

    def _shift(self, message: Any) -> None:
        fields = message.DESCRIPTOR.fields_by_name
        for name in POSITIONS:
            if name in fields:
                setattr(message, name, getattr(message, name) + self.begin_ms)
        if "final_index" in fields:
            message.final_index += self.finals
