"""What a stream came to: the recording, its finals, how late they were."""

import statistics

from ai2text.asr.v1 import result_pb2, speech_service_pb2

from clients.cli.stream import Heard, Show


class Tally:
    """Keeps what a stream has brought so far."""

    def __init__(self) -> None:
        self.session = speech_service_pb2.SessionStarted()
        self.finals: list[result_pb2.FinalResult] = []
        self.latencies_ms: list[int] = []
        self.processed_ms = 0

    @property
    def recording_id(self) -> str:
        """The recording that holds the finals; empty when nothing was stored (without finals there is none)."""
        return self.session.recording_id if self.finals else ""

    @property
    def text(self) -> str:
        """All that was said."""
        return " ".join(final.text for final in self.finals)

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
                if heard.latency_ms is not None:
                    self.latencies_ms.append(heard.latency_ms)

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
        if self.recording_id:
            lines.append(f"Recording {self.recording_id}")
            lines.append(f'  search it:  ai2text search "{_first_words(self.finals[0].text)}"')
            lines.append(f"  export it:  ai2text recordings export {self.recording_id} --format srt")
        return lines

    def count(self) -> str:
        """How many utterances, in words."""
        return f"{len(self.finals)} utterance{'' if len(self.finals) == 1 else 's'}"


def _first_words(text: str) -> str:
    return " ".join(text.replace('"', "").split()[:4]).rstrip(".,!?")
