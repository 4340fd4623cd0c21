"""Finals as records for scripts, and as the files that people want: text, subtitles, JSON."""

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from ai2text.asr.v1 import result_pb2

from clients.cli.times import timestamp


class Format(StrEnum):
    """The file formats of a transcript."""

    TXT = "txt"
    SRT = "srt"
    VTT = "vtt"
    JSON = "json"


def record(final: result_pb2.FinalResult) -> dict[str, Any]:
    """The fields of a final as JSON writes them; times in milliseconds, confidences 0 to 1."""
    return {
        "text": final.text,
        "start_ms": final.start_ms,
        "end_ms": final.end_ms,
        "final_index": final.final_index,
        "language_code": final.language_code,
        "channel": final.channel,
        "confidence": round(final.confidence, 4),
        "words": [word_record(word) for word in final.words],
    }


def word_record(word: result_pb2.Word) -> dict[str, Any]:
    """The fields of a word, likewise."""
    return {
        "text": word.text,
        "start_ms": word.start_ms,
        "end_ms": word.end_ms,
        "confidence": round(word.confidence, 4),
    }


def written(finals: Sequence[result_pb2.FinalResult], form: Format, about: dict[str, Any] | None = None) -> str:
    """The whole file as text that ends with a line feed. `about` goes before the segments in JSON."""
    match form:
        case Format.TXT:
            return "".join(f"{final.text}\n" for final in finals)
        case Format.SRT:
            return "\n".join(f"{number}\n{_cue(final, ',')}" for number, final in enumerate(finals, 1))
        case Format.VTT:
            return "\n".join(["WEBVTT\n", *(_cue(final, ".") for final in finals)])
        case Format.JSON:
            document = {**(about or {}), "segments": [record(final) for final in finals]}
            return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _cue(final: result_pb2.FinalResult, separator: str) -> str:
    start, end = timestamp(final.start_ms, separator), timestamp(final.end_ms, separator)
    return f"{start} --> {end}\n{final.text}\n"
