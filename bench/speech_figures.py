"""The figures of build/bench/asr.json: what belongs together, what is promised, and the plot of all that are there."""

import re
from collections.abc import Mapping, Sequence

from bench.plot import Line
from bench.report import Figure

NAME = "asr"
PROMISED = (
    "p95_ms_at_20_streams", "p50_ms_at_20_streams", "dropped_bytes", "max_streams_under_500ms_base",
    "max_streams_under_500ms_tiny", "peer_max_streams_under_500ms", "wer_live_vi", "wer_offline_vi", "wer_live_en",
    "wer_offline_en", "cer_live_vi", "cer_offline_vi", "hallucination_rate", "flicker_rate", "flicker_rate_stable",
)  # fmt: skip
"""What a whole run of bench.asr measures."""
PROMISED_OF_RESUME = ("resumes_tried", "finals_lost", "finals_doubled")
"""What bench.resume adds."""
GROUPS = {
    "load": re.compile(
        r"(?!peer_)\w+_at_\d+_streams|(asr|triton)_mib_a_stream|max_streams_under_500ms_base|dropped_bytes"
        r"|[wc]er_at_\w+|flicker_rate\w*|refined_rate"
    ),
    "accuracy": re.compile(r"[wc]er_(live|unpaced|offline)\w*"),
    "noise": re.compile(r"hallucination_rate|noises"),
    "noise, peer": re.compile(r"peer_(hallucination_rate|noises)"),
    "tiny": re.compile(r"\w+_streams_tiny|max_streams_under_500ms_tiny"),
    "peers": re.compile(r"peer_(?!hallucination_rate|noises)\w+"),
}
"""The keys that are measured together: of an earlier run none is kept beside those of a newer one."""
LINES = {
    "AI2Text": r"p95_ms_at_(\d+)_streams",
    "AI2Text, tiny": r"p95_ms_at_(\d+)_streams_tiny",
    "faster-whisper, 30 s": r"peer_faster_whisper_p95_ms_at_(\d+)_streams",
    "whisperlivekit": r"peer_whisperlivekit_p95_ms_at_(\d+)_streams",
}
"""The keys of each line of the plot; the number in them is that of the speakers."""


def missing(measured: Mapping[str, Figure], kept: Mapping[str, Figure]) -> list[str]:
    """What is promised and not among `measured`, the figures of this run; bench.resume's may be of any run, `kept`."""
    return [
        *(key for key in PROMISED if key not in measured),
        *(key for key in PROMISED_OF_RESUME if key not in kept),
    ]


def lines(figures: Mapping[str, Figure]) -> list[Line]:
    """The 95th percentile over the number of speakers, hollow where some were refused; a line for whoever has any."""
    found = [_line(name, pattern, figures) for name, pattern in LINES.items()]
    return [line for line in found if line.points]


def _line(name: str, pattern: str, figures: Mapping[str, Figure]) -> Line:
    keys: Sequence[re.Match[str]] = [match for key in figures if (match := re.fullmatch(pattern, key))]
    points = sorted((float(match[1]), float(figures[match[0]])) for match in keys)
    refused = (match for match in keys if float(figures.get(match[0].replace("p95_ms", "refused"), 0)))
    return Line(name, points, frozenset(float(match[1]) for match in refused))
