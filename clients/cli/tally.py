"""What a stream came to: the recording, its finals, how late they were."""

import statistics

from ai2text.asr.v1 import result_pb2, speech_service_pb2

from clients.cli.stream import Heard, Show


class Tally:
    """Keeps what a stream has brought so far."""

    def __init__(self) -> None:
        self.session = speech_service_pb2.SessionStarted()
        self.finals: list[result_pb2.FinalResult] = []
        """As they came."""
        self._refinements: dict[int, result_pb2.RefinementResult] = {}
        self.latencies_ms: list[int] = []
        self.processed_ms = 0
        self.recording_ids: list[str] = []
        """The recordings that hold the finals; none when nothing was stored. More than one when a session was lost."""

    @property
    def recording_id(self) -> str:
        """The newest of them, or nothing."""
        return self.recording_ids[-1] if self.recording_ids else ""

    @property
    def text(self) -> str:
        """All that was said."""
        return " ".join(final.text for final in self.finals)

    @property
    def refined(self) -> list[result_pb2.FinalResult]:
        """The finals with the newest of the better texts that came; without those whose words went to a neighbour."""
        refined = (_refined(final, self._refinements.get(final.final_index)) for final in self.finals)
        return [final for final in refined if final.text]

    def counting(self, show: Show) -> Show:
        """A function that shows and keeps."""

        def both(heard: Heard) -> None:
            self.keep(heard)
            show(heard)

        return both

    def keep(self, heard: Heard) -> None:
        """Takes account of one answer."""
        self.processed_ms = heard.response.cursors.processed_ms
        match heard.response.WhichOneof("event"):
            case "session_started":
                self.session = heard.response.session_started
            case "final":
                self.finals.append(heard.response.final)
                self._note_recording(self.session.recording_id)
                if heard.latency_ms is not None:
                    self.latencies_ms.append(heard.latency_ms)
            case "refinement":
                self._refinements[heard.response.refinement.final_index] = heard.response.refinement

    def latency(self) -> str:
        """In words; empty without finals."""
        if not self.latencies_ms:
            return ""
        median, worst = statistics.median(self.latencies_ms), max(self.latencies_ms)
        if len(self.latencies_ms) == 1:
            return f"final after {worst} ms"
        return f"finals after {median:.0f} ms (median), {worst} ms (slowest)"

    def summary(self) -> list[str]:
        """Lines for the end of a stream: what came, and what can be done with it."""
        if not self.finals:
            return ["No speech was heard."]
        lines = [" · ".join(part for part in (self.count(), self.latency()) if part)]
        if self.recording_ids:
            lines.append(f"Recording {' and '.join(self.recording_ids)}")
            lines.append(f'  search it:  ai2text search "{_first_words(self.finals[0].text)}"')
            lines += [f"  export it:  ai2text recordings export {id_} --format srt" for id_ in self.recording_ids]
        return lines

    def _note_recording(self, recording_id: str) -> None:
        if recording_id and recording_id != self.recording_id:
            self.recording_ids.append(recording_id)

    def count(self) -> str:
        """How many utterances, in words."""
        return f"{len(self.finals)} utterance{'' if len(self.finals) == 1 else 's'}"


def _refined(final: result_pb2.FinalResult, refinement: result_pb2.RefinementResult | None) -> result_pb2.FinalResult:
    if refinement is None:
        return final
    refined = result_pb2.FinalResult()
    refined.CopyFrom(final)
    refined.text, refined.language_code = refinement.text, refinement.language_code
    refined.confidence = refinement.confidence
    del refined.words[:]
    refined.words.extend(refinement.words)
    return refined


def _first_words(text: str) -> str:
    return " ".join(text.replace('"', "").split()[:4]).rstrip(".,!?")
