"""The file formats of transcripts."""

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
OTHER = Transcript(NewTranscript("33333333-3333-4333-8333-333333333333", RECORDING_ID, "whisper-base", 0), 1, NOON)
SEGMENTS = (
    Segment(0, "Xin chào & tạm <b>biệt</b>", 0, 1500, "vi", 0.5, (Word("Xin", 0, 400, 0.75),), "xin chào và tạm biệt"),
    Segment(1, "a\n--> b", 3_661_001, 3_661_500, "vi", 0.25),
)


def written(format: Format, *segments: Segment) -> str:
    return of_several(format, *((TRANSCRIPT, segment) for segment in segments))


def of_several(format: Format, *said: tuple[Transcript, Segment], transcripts: tuple[Transcript, ...] = ()) -> str:
    writer = formats.writer(format, RECORDING, transcripts or (TRANSCRIPT,))
    return writer.opening() + "".join(writer.segment(*one) for one in said) + writer.closing()


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
        "transcripts": [
            {
                "transcript_id": TRANSCRIPT_ID,
                "model": "whisper-base",
                "channel": 1,
                "create_time": "2026-11-24T12:00:00+00:00",
            }
        ],
        "segments": [
            {
                "segment_index": 0,
                "channel": 1,
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


LONG = "một hai ba bốn năm sáu bảy tám chín mười mười một " * 2
TALK = (
    (OTHER, Segment(0, LONG, 0, 8000, "vi", 1.0)),
    (TRANSCRIPT, Segment(0, "Vâng.", 1000, 1500, "vi", 1.0)),
    (OTHER, Segment(1, "Chào.", 8000, 9000, "vi", 1.0)),
)
"""Two channels, of which one says something while the other speaks."""


def test_cues_of_several_channels_come_in_the_order_of_time_and_say_their_channel() -> None:
    srt = of_several(Format.SRT, *TALK, transcripts=(OTHER, TRANSCRIPT))
    cues = [cue.split("\n", 2) for cue in srt.strip().split("\n\n")]
    assert [number for number, *_ in cues] == ["1", "2", "3", "4"]
    starts = [times.partition(" ")[0] for _, times, _ in cues]
    assert starts == sorted(starts)
    assert [text[:3] for *_, text in cues] == ["[0]", "[1]", "[0]", "[0]"]
    assert (cues[1][2], cues[3][2]) == ("[1] Vâng.", "[0] Chào.")
    vtt = of_several(Format.VTT, *TALK, transcripts=(OTHER, TRANSCRIPT))
    assert re.findall(r"<v Channel (\d)>", vtt) == ["0", "1", "0", "0"]
    assert "\n00:00:01.000 --> 00:00:01.500\n<v Channel 1>Vâng.\n" in vtt


def test_cues_of_one_channel_come_in_the_order_of_time_although_its_segments_overlap() -> None:
    overlapping = [segment for _, segment in TALK]
    starts = re.findall(r"^(\S+) -->", written(Format.VTT, *overlapping), re.MULTILINE)
    assert len(starts) == 4
    assert starts == sorted(starts)


def test_lines_and_documents_of_several_channels_say_which() -> None:
    lines = of_several(Format.TXT, *TALK, transcripts=(OTHER, TRANSCRIPT)).splitlines()
    assert [line[:3] for line in lines] == ["[0]", "[1]", "[0]"]
    document = json.loads(of_several(Format.JSON, *TALK, transcripts=(OTHER, TRANSCRIPT)))
    assert [one["channel"] for one in document["segments"]] == [0, 1, 0]
    assert document["segments"][1]["segment_id"] == TALK[1][1].id_in(TRANSCRIPT_ID)
    assert [one["transcript_id"] for one in document["transcripts"]] == [OTHER.transcript_id, TRANSCRIPT_ID]
    assert "transcript_id" not in document, "it is of no single one"


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "00:00:00,000"), (59_999, "00:00:59,999"), (360_000_000, "100:00:00,000")]
)
def test_clock(ms: int, text: str) -> None:
    assert formats.clock(ms, ",") == text
