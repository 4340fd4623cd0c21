"""The file formats of a transcript."""

import json
import re
from datetime import UTC, datetime

import pytest

from servers.metadata import formats
from servers.metadata.formats import Format
from servers.metadata.recordings import NewRecording, Recording, Source
from servers.metadata.transcripts import NewTranscript, Segment, Transcript, Word

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
RECORDING_ID = "11111111-1111-4111-8111-111111111111"
TRANSCRIPT_ID = "22222222-2222-4222-8222-222222222222"
RECORDING = Recording(NewRecording(RECORDING_ID, 'Bản "tin"', Source.LIVE, ""), "vi", 3_661_500, 2, NOON, NOON)
TRANSCRIPT = Transcript(NewTranscript(TRANSCRIPT_ID, RECORDING_ID, "whisper-base", 1), 2, NOON)
SEGMENTS = (
    Segment(0, "Xin chào & tạm <b>biệt</b>", 0, 1500, "vi", 0.5, (Word("Xin", 0, 400, 0.75),), "xin chào và tạm biệt"),
    Segment(1, "a\n--> b", 3_661_001, 3_661_500, "vi", 0.25),
)


def written(format: Format, *segments: Segment) -> str:
    writer = formats.writer(format, RECORDING, TRANSCRIPT)
    return writer.opening() + "".join(map(writer.segment, segments)) + writer.closing()


def test_srt() -> None:
    assert written(Format.SRT, *SEGMENTS) == (
        "1\n00:00:00,000 --> 00:00:01,500\nXin chào & tạm <b>biệt</b>\n\n2\n01:01:01,001 --> 01:01:01,500\na → b\n\n"
    )


def test_vtt_is_escaped() -> None:
    assert written(Format.VTT, *SEGMENTS) == (
        "WEBVTT\n"
        "\n00:00:00.000 --> 00:00:01.500\nXin chào &amp; tạm &lt;b&gt;biệt&lt;/b&gt;\n"
        "\n01:01:01.001 --> 01:01:01.500\na --&gt; b\n"
    )


def test_txt_has_a_line_for_each_segment() -> None:
    assert written(Format.TXT, *SEGMENTS) == "Xin chào & tạm <b>biệt</b>\na --> b\n"


def test_json_holds_everything() -> None:
    text = written(Format.JSON, *SEGMENTS)
    assert "Xin chào" in text
    document = json.loads(text)
    assert document["segments"][0].pop("segment_id") == SEGMENTS[0].id_in(TRANSCRIPT_ID)
    assert document["segments"].pop()["text"] == "a\n--> b"
    assert document == {
        "recording_id": RECORDING_ID,
        "title": 'Bản "tin"',
        "language_code": "vi",
        "transcript_id": TRANSCRIPT_ID,
        "model": "whisper-base",
        "channel": 1,
        "create_time": "2026-11-24T12:00:00+00:00",
        "segments": [
            {
                "segment_index": 0,
                "text": "Xin chào & tạm <b>biệt</b>",
                "raw_text": "xin chào và tạm biệt",
                "start_ms": 0,
                "end_ms": 1500,
                "language_code": "vi",
                "confidence": 0.5,
                "words": [{"text": "Xin", "start_ms": 0, "end_ms": 400, "confidence": 0.75}],
            }
        ],
    }


@pytest.mark.parametrize(("format", "empty"), [(Format.SRT, ""), (Format.VTT, "WEBVTT\n"), (Format.TXT, "")])
def test_an_empty_transcript(format: Format, empty: str) -> None:
    assert written(format) == empty


def test_an_empty_transcript_is_still_json() -> None:
    assert json.loads(written(Format.JSON))["segments"] == []


def test_a_long_segment_is_numbered_on() -> None:
    long = Segment(0, "một hai ba bốn năm sáu bảy tám chín mười " * 5, 0, 60_000, "vi", 1.0)
    numbers = re.findall(r"^(\d+)$", written(Format.SRT, long, SEGMENTS[0]), re.MULTILINE)
    assert numbers == [str(number + 1) for number in range(len(numbers))]
    assert len(numbers) > 3


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "00:00:00,000"), (59_999, "00:00:59,999"), (360_000_000, "100:00:00,000")]
)
def test_clock(ms: int, text: str) -> None:
    assert formats.clock(ms, ",") == text
