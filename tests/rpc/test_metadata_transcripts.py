"""TranscriptService over a real port: what it answers, and every way it refuses."""

import json
import math
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import pytest
from ai2text.events.v1 import recording_events_pb2, transcript_events_pb2
from ai2text.metadata.v1 import recording_pb2, transcript_service_pb2
from ai2text.metadata.v1.recording_service_pb2 import (
    CreateRecordingRequest,
    DeleteRecordingRequest,
    GetRecordingRequest,
)
from ai2text.metadata.v1.transcript_pb2 import Segment, SegmentWord, Transcript
from ai2text.metadata.v1.transcript_service_pb2 import (
    AppendSegmentsRequest,
    CreateTranscriptRequest,
    ExportTranscriptRequest,
    ListSegmentsRequest,
    ListTranscriptsRequest,
)

from servers.common.streams import TRANSCRIPT_FINALIZED
from servers.metadata import transcripts as stored
from tests.fakes.metadata_store import MemoryStore
from tests.rpc.metadata_server import Served, headers, served
from tests.rpc.refusals import refusal

RECORDING_ID = "11111111-1111-4111-8111-111111111111"
TRANSCRIPT_ID = "22222222-2222-4222-8222-222222222222"
NOWHERE = "33333333-3333-4333-8333-333333333333"


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    """A server with one recording of the tenant `acme`."""
    async with served() as running:
        await create_recording(running)
        yield running


async def create_recording(server: Served, tenant: str = "acme", recording_id: str = RECORDING_ID) -> None:
    source = recording_pb2.RECORDING_SOURCE_LIVE
    request = CreateRecordingRequest(recording_id=recording_id, title="Bản tin", source=source)
    await server.recordings.CreateRecording(request, metadata=headers(tenant))


async def create(server: Served, tenant: str = "acme", **fields: Any) -> Transcript:
    given = {"recording_id": RECORDING_ID, "transcript_id": TRANSCRIPT_ID, "model": "whisper-base", **fields}
    request = CreateTranscriptRequest(**given)
    return (await server.transcripts.CreateTranscript(request, metadata=headers(tenant))).transcript


async def append(server: Served, *segments: Segment, tenant: str = "acme", to: str = TRANSCRIPT_ID) -> int:
    request = AppendSegmentsRequest(transcript_id=to, segments=segments)
    return (await server.transcripts.AppendSegments(request, metadata=headers(tenant))).appended_count


def segment(index: int = 0, **fields: Any) -> Segment:
    given = {"text": f"câu {index}", "start_ms": index * 1000, "end_ms": index * 1000 + 900, "confidence": 0.5}
    return Segment(segment_index=index, **{**given, **fields})


def word(**fields: Any) -> SegmentWord:
    return SegmentWord(**{"text": "câu", "start_ms": 0, "end_ms": 400, "confidence": 0.5, **fields})


async def export(
    server: Served, format: int, tenant: str = "acme", recording_id: str = RECORDING_ID, channel: int | None = None
) -> list[str]:
    request = ExportTranscriptRequest(recording_id=recording_id, format=format, channel=channel)
    return [piece.text async for piece in server.transcripts.ExportTranscript(request, metadata=headers(tenant))]


async def exported(server: Served) -> list[str]:
    """The lines of all channels."""
    return "".join(await export(server, transcript_service_pb2.EXPORT_FORMAT_TXT)).splitlines()


async def test_transcripts_are_made_and_listed_newest_first(server: Served) -> None:
    first = await create(server)
    second = await create(server, transcript_id="")
    assert (first.transcript_id, first.recording_id, first.model) == (TRANSCRIPT_ID, RECORDING_ID, "whisper-base")
    request = ListTranscriptsRequest(recording_id=RECORDING_ID)
    listed = await server.transcripts.ListTranscripts(request, metadata=headers())
    assert list(listed.transcripts) == [second, first]


async def test_creating_again_answers_the_same_unless_the_content_differs(server: Served) -> None:
    assert await create(server) == await create(server)
    for other in ({"model": "another"}, {"model": "another", "channel": 1}):
        refused = await refusal(create(server, **other))
        assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ALREADY_EXISTS")


async def test_a_transcript_and_the_events_of_its_segments_name_its_channel(server: Served) -> None:
    assert (await create(server)).channel == 0
    last = await create(server, transcript_id="", channel=7)
    request = ListTranscriptsRequest(recording_id=RECORDING_ID)
    listed = await server.transcripts.ListTranscripts(request, metadata=headers())
    assert [transcript.channel for transcript in listed.transcripts] == [7, 0]
    await append(server, segment(0))
    await append(server, segment(1), to=last.transcript_id)
    assert [event.channel for event in finalized(server)] == [0, 7]
    document = json.loads("".join(await export(server, transcript_service_pb2.EXPORT_FORMAT_JSON, channel=7)))
    assert (document["transcript_id"], document["channel"]) == (last.transcript_id, 7)


async def test_a_session_from_before_channels_were_kept_goes_on(server: Served) -> None:
    before = await create(server)
    assert await create(server, channel=1) == before
    other = await create(server, transcript_id=NOWHERE, channel=1)
    for channel in (0, 2):
        refused = await refusal(create(server, transcript_id=other.transcript_id, channel=channel))
        assert refused.code is grpc.StatusCode.ALREADY_EXISTS


async def test_a_transcript_id_of_another_tenant_is_refused(server: Served) -> None:
    await create(server)
    await create_recording(server, "beta", NOWHERE)
    refused = await refusal(create(server, "beta", recording_id=NOWHERE))
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ALREADY_EXISTS")
    assert await server.store.transcripts("acme", RECORDING_ID, 10)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"recording_id": ""}, "recording_id"),
        ({"transcript_id": "x"}, "transcript_id"),
        ({"model": ""}, "model"),
        ({"model": "m" * 101}, "model"),
        ({"model": "\x00"}, "model"),
        ({"channel": 8}, "channel"),
        ({"channel": 2**32 - 1}, "channel"),
    ],
)
async def test_a_bad_field_of_a_transcript_is_named(server: Served, fields: dict[str, Any], field: str) -> None:
    refused = await refusal(create(server, **fields))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refused.field == field


async def test_a_transcript_whose_id_was_given_again_gets_its_segments(server: Served) -> None:
    await create(server)
    assert await append(server, segment(0)) == 1
    await server.recordings.DeleteRecording(DeleteRecordingRequest(recording_id=RECORDING_ID), metadata=headers())
    refused = await refusal(append(server, segment(1)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "TRANSCRIPT_NOT_FOUND")
    other = str(uuid.uuid4())
    await create_recording(server, "acme", other)
    await create(server, recording_id=other)
    assert await append(server, segment(0)) == 1
    assert [event.recording_id for event in finalized(server)] == [RECORDING_ID, other]


async def test_the_next_transcript_of_a_channel_is_told_with_what_it_takes_the_place_of(server: Served) -> None:
    await create(server)
    await create(server, transcript_id="")
    kept = [one.event for one in server.store.events if one.event.subject == "recording.updated"]
    told = [recording_events_pb2.RecordingUpdated.FromString(event.payload) for event in kept]
    assert [(each.version, list(each.superseded_transcript_ids)) for each in told] == [(1, []), (2, [TRANSCRIPT_ID])]


def finalized(server: Served) -> list[transcript_events_pb2.SegmentContent]:
    """The segments that were announced."""
    told = [kept.event for kept in server.store.events if kept.event.subject == TRANSCRIPT_FINALIZED]
    return [transcript_events_pb2.TranscriptFinalized.FromString(event.payload).segment for event in told]


async def test_segments_are_appended_once_and_listed_in_order(server: Served) -> None:
    await create(server)
    given = segment(1, words=[word(), word(text="một", start_ms=400, end_ms=900)], language_code="vi")
    assert await append(server, given, segment(0)) == 2
    assert await append(server, segment(1, text="other"), segment(2)) == 1
    assert await append(server, segment(2)) == 0
    request = ListSegmentsRequest(transcript_id=TRANSCRIPT_ID.upper())
    listed = (await server.transcripts.ListSegments(request, metadata=headers())).segments
    assert [one.segment_index for one in listed] == [0, 1, 2]
    assert listed[1].segment_id == str(uuid.uuid5(uuid.UUID(TRANSCRIPT_ID), "1"))
    given.segment_id = listed[1].segment_id
    assert listed[1] == given


async def test_what_the_model_wrote_is_kept_where_it_differs(server: Served) -> None:
    await create(server)
    given = [segment(0, text="Xin chào.", raw_text="xin chào"), segment(1, text="hai", raw_text="hai")]
    assert await append(server, *given) == 2
    request = ListSegmentsRequest(transcript_id=TRANSCRIPT_ID)
    segments = (await server.transcripts.ListSegments(request, metadata=headers())).segments
    assert [one.raw_text for one in segments] == ["xin chào", ""]
    document = json.loads("".join(await export(server, transcript_service_pb2.EXPORT_FORMAT_JSON)))
    assert [one["raw_text"] for one in document["segments"]] == ["xin chào", ""]
    assert "".join(await export(server, transcript_service_pb2.EXPORT_FORMAT_TXT)) == "Xin chào.\nhai\n"


async def test_the_recording_tells_of_its_segments(server: Served) -> None:
    await create(server)
    await append(server, segment(1, language_code="vi"), segment(0))
    request = GetRecordingRequest(recording_id=RECORDING_ID)
    found = (await server.recordings.GetRecording(request, metadata=headers())).recording
    assert (found.segment_count, found.duration_ms, found.language_code) == (2, 1900, "vi")
    assert found.update_time.ToNanoseconds() > found.create_time.ToNanoseconds()


async def test_only_new_segments_are_announced(server: Served) -> None:
    await create(server)
    await append(server, segment(0))
    await append(server, segment(0))
    await append(server, segment(0), segment(1))
    kept = [one.event for one in server.store.events if one.event.subject == TRANSCRIPT_FINALIZED]
    sent = [transcript_events_pb2.TranscriptFinalized.FromString(event.payload) for event in kept]
    assert [message.segment.text for message in sent] == ["câu 0", "câu 1"]
    assert {message.tenant for message in sent} == {"acme"}
    assert len(server.woken) == 3  # for the recording, and for two of the three appends


BAD_SEGMENTS: list[tuple[dict[str, Any], str]] = [
    ({"text": ""}, "text"),
    ({"text": "\n "}, "text"),
    ({"text": "a" * 8193}, "text"),
    ({"text": "a\x00b"}, "text"),
    ({"raw_text": "a" * 8193}, "raw_text"),
    ({"raw_text": "a\x00b"}, "raw_text"),
    ({"start_ms": -1}, "start_ms"),
    ({"start_ms": 5, "end_ms": 4}, "end_ms"),
    ({"end_ms": 2**63 - 1}, "end_ms"),
    ({"language_code": "viet"}, "language_code"),
    ({"confidence": 1.5}, "confidence"),
    ({"confidence": -0.1}, "confidence"),
    ({"confidence": math.nan}, "confidence"),
    ({"words": [word(text="")]}, "words[0].text"),
    ({"words": [word(text="\x00")]}, "words[0].text"),
    ({"words": [word(), word(end_ms=-1)]}, "words[1].end_ms"),
    ({"words": [word(start_ms=10), word(start_ms=9)]}, "words[1].start_ms"),
    ({"words": [word(confidence=2)]}, "words[0].confidence"),
    ({"words": [word(text="a" * 8000)] * 2}, "words"),
]


@pytest.mark.parametrize(("fields", "field"), BAD_SEGMENTS)
async def test_one_bad_segment_refuses_all(server: Served, fields: dict[str, Any], field: str) -> None:
    await create(server)
    refused = await refusal(append(server, segment(0), segment(1, **fields)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert refused.field == f"segments[1].{field}"
    assert not server.store.segments_by_id


@pytest.mark.parametrize("count", [0, 501])
async def test_an_append_has_1_to_500_segments(server: Served, count: int) -> None:
    await create(server)
    refused = await refusal(append(server, *(segment(index) for index in range(count))))
    assert (refused.reason, refused.field) == ("FIELD_INVALID", "segments")


async def test_500_of_the_longest_segments_fit(server: Served) -> None:
    await create(server)
    assert await append(server, *(segment(index, text="ă" * 8192) for index in range(500))) == 500


async def test_more_words_than_one_append_may_have_are_refused(server: Served) -> None:
    await create(server)
    many = [word(text="a")] * 8192
    refused = await refusal(append(server, *(segment(index, words=many) for index in range(7))))
    assert (refused.code, refused.field) == (grpc.StatusCode.INVALID_ARGUMENT, "segments[6].words")


async def test_an_index_twice_in_one_append_is_refused(server: Served) -> None:
    await create(server)
    refused = await refusal(append(server, segment(3), segment(3)))
    assert (refused.reason, refused.field) == ("FIELD_INVALID", "segments[1].segment_index")


async def test_pages_hold_every_segment_once(server: Served) -> None:
    await create(server)
    await append(server, *(segment(index) for index in range(250)))
    listed, token = [], ""
    for expected in (200, 49, 1):
        request = ListSegmentsRequest(
            transcript_id=TRANSCRIPT_ID, page_size=0 if expected == 200 else expected, page_token=token
        )
        page = await server.transcripts.ListSegments(request, metadata=headers())
        assert len(page.segments) == expected
        listed.extend(page.segments)
        token = page.next_page_token
    assert [one.segment_index for one in listed] == list(range(250))
    assert token == ""


async def test_a_page_ends_before_it_outgrows_a_client(server: Served) -> None:
    await create(server)
    await append(server, *(segment(index, text="ă" * 8192, raw_text="â" * 8192) for index in range(300)))
    request = ListSegmentsRequest(transcript_id=TRANSCRIPT_ID, page_size=1000)
    page = await server.transcripts.ListSegments(request, metadata=headers())
    assert 1 <= len(page.segments) < 300
    assert page.next_page_token
    assert page.ByteSize() < 4 * 1024 * 1024


async def test_a_token_of_another_transcript_is_refused(server: Served) -> None:
    await create(server)
    other = await create(server, transcript_id="")
    await append(server, segment(0), segment(1))
    request = ListSegmentsRequest(transcript_id=TRANSCRIPT_ID, page_size=1)
    token = (await server.transcripts.ListSegments(request, metadata=headers())).next_page_token
    assert token
    for transcript_id, given in ((other.transcript_id, token), (TRANSCRIPT_ID, "x"), (TRANSCRIPT_ID, token + "A")):
        request = ListSegmentsRequest(transcript_id=transcript_id, page_token=given)
        refused = await refusal(server.transcripts.ListSegments(request, metadata=headers()))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


@pytest.mark.parametrize(("tenant", "where"), [("acme", NOWHERE), ("beta", None)])
async def test_what_is_not_the_tenants_is_not_found(server: Served, tenant: str, where: str | None) -> None:
    await create(server)
    recording_id, transcript_id = where or RECORDING_ID, where or TRANSCRIPT_ID
    listing = ListTranscriptsRequest(recording_id=recording_id)
    segments = ListSegmentsRequest(transcript_id=transcript_id)
    of_recording = [
        await refusal(create(server, tenant, recording_id=recording_id, transcript_id="")),
        await refusal(server.transcripts.ListTranscripts(listing, metadata=headers(tenant))),
        await refusal(export(server, transcript_service_pb2.EXPORT_FORMAT_TXT, tenant, recording_id)),
    ]
    of_transcript = [
        await refusal(append(server, segment(), tenant=tenant, to=transcript_id)),
        await refusal(server.transcripts.ListSegments(segments, metadata=headers(tenant))),
    ]
    assert {refused.code for refused in of_recording + of_transcript} == {grpc.StatusCode.NOT_FOUND}
    assert [refused.reason for refused in of_recording] == ["RECORDING_NOT_FOUND"] * 3
    assert [refused.reason for refused in of_transcript] == ["TRANSCRIPT_NOT_FOUND"] * 2
    assert of_transcript[0].metadata == {"transcript_id": transcript_id}
    assert not server.store.segments_by_id


async def test_the_newest_transcript_is_exported(server: Served) -> None:
    await create(server)
    await append(server, segment(0, text="the old one"))
    newer = await create(server, transcript_id="")
    await append(server, segment(0), segment(1, text="<hai> & ba"), to=newer.transcript_id)
    assert "".join(await export(server, transcript_service_pb2.EXPORT_FORMAT_TXT)) == "câu 0\n<hai> & ba\n"
    assert "".join(await export(server, transcript_service_pb2.EXPORT_FORMAT_SRT)) == (
        "1\n00:00:00,000 --> 00:00:00,900\ncâu 0\n\n2\n00:00:01,000 --> 00:00:01,900\n<hai> & ba\n\n"
    )
    assert "&lt;hai&gt; &amp; ba" in "".join(await export(server, transcript_service_pb2.EXPORT_FORMAT_VTT))
    document = json.loads("".join(await export(server, transcript_service_pb2.EXPORT_FORMAT_JSON)))
    assert [one["segment_index"] for one in document["segments"]] == [0, 1]
    assert document["transcript_id"] == newer.transcript_id


async def test_an_older_transcript_stands_until_a_newer_one_is_complete(server: Served) -> None:
    await create(server)
    await append(server, segment(0, text="the old one"))
    newer = await create(server, transcript_id="", incomplete=True)
    other = await create(server, transcript_id="", incomplete=True, channel=1)
    await append(server, segment(0, text="the new one"), to=newer.transcript_id)
    await append(server, segment(0, text="phải"), to=other.transcript_id)
    assert (newer.incomplete, other.incomplete) == (True, True)
    assert await exported(server) == ["[0] the old one", "[1] phải"]  # of that channel there is no other
    again = await create(server, transcript_id=newer.transcript_id, incomplete=True)
    assert again.incomplete
    assert await exported(server) == ["[0] the old one", "[1] phải"]
    assert not (await create(server, transcript_id=newer.transcript_id)).incomplete
    assert await exported(server) == ["[0] the new one", "[1] phải"]
    assert not (await create(server, transcript_id=newer.transcript_id, incomplete=True)).incomplete


async def test_what_was_said_in_all_channels_is_exported_by_time_or_in_one(server: Served) -> None:
    await create(server)
    await append(server, segment(0, text="the old one"))
    left = await create(server, transcript_id="")
    right = await create(server, transcript_id="", channel=1)
    await append(server, *(segment(index, text=f"trái {index}") for index in range(250)), to=left.transcript_id)
    late = [segment(n, text=f"phải {n}", start_ms=n * 1000 + 500, end_ms=n * 1000 + 900) for n in range(120)]
    await append(server, *late, to=right.transcript_id)
    lines = "".join(await export(server, transcript_service_pb2.EXPORT_FORMAT_TXT)).splitlines()
    assert lines[:4] == ["[0] trái 0", "[1] phải 0", "[0] trái 1", "[1] phải 1"]
    assert lines[238:242] == ["[0] trái 119", "[1] phải 119", "[0] trái 120", "[0] trái 121"]
    assert len(lines) == 370
    alone = "".join(await export(server, transcript_service_pb2.EXPORT_FORMAT_TXT, channel=1)).splitlines()
    assert alone == [f"phải {n}" for n in range(120)]
    first = "".join(await export(server, transcript_service_pb2.EXPORT_FORMAT_TXT, channel=0)).splitlines()
    assert first == [f"trái {n}" for n in range(250)]


async def test_a_channel_that_was_not_heard_or_cannot_be_is_not_exported(server: Served) -> None:
    await create(server)
    refused = await refusal(export(server, transcript_service_pb2.EXPORT_FORMAT_TXT, channel=1))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "TRANSCRIPT_NOT_FOUND")
    refused = await refusal(export(server, transcript_service_pb2.EXPORT_FORMAT_TXT, channel=8))
    assert (refused.code, refused.field) == (grpc.StatusCode.INVALID_ARGUMENT, "channel")


async def test_a_long_transcript_comes_in_pieces(server: Served) -> None:
    await create(server)
    for first in range(0, 1000, 500):
        await append(server, *(segment(index, text="ă" * 1000) for index in range(first, first + 500)))
    pieces = await export(server, transcript_service_pb2.EXPORT_FORMAT_TXT)
    assert len(pieces) > 10
    assert max(map(len, pieces)) < 100_000
    assert "".join(pieces) == ("ă" * 1000 + "\n") * 1000


class FailingMidway(MemoryStore):
    """A store that is away once the first page of segments has been read."""

    async def segments(self, tenant: str, transcript_id: str, after: int, limit: int) -> Sequence[stored.Segment]:
        self.down = after >= 0
        return await super().segments(tenant, transcript_id, after, limit)


async def test_an_export_that_fails_midway_ends_with_a_status() -> None:
    async with served(FailingMidway()) as server:
        await create_recording(server)
        await create(server)
        await append(server, *(segment(index, text="ă" * 1000) for index in range(200)))
        request = ExportTranscriptRequest(recording_id=RECORDING_ID, format=transcript_service_pb2.EXPORT_FORMAT_TXT)
        call = server.transcripts.ExportTranscript(request, metadata=headers())
        first = await anext(aiter(call))
        assert first.text.startswith("ă")
        assert (await refusal(call)).retry_s == 2.0


class DeletingMidway(MemoryStore):
    """A store from which all is deleted once the first page of segments has been read."""

    async def segments(self, tenant: str, transcript_id: str, after: int, limit: int) -> Sequence[stored.Segment]:
        if after >= 0:
            self.transcripts_by_id.clear()
            self.segments_by_id.clear()
        return await super().segments(tenant, transcript_id, after, limit)


async def test_an_export_of_what_is_deleted_midway_does_not_end_well() -> None:
    async with served(DeletingMidway()) as server:
        await create_recording(server)
        await create(server)
        await append(server, *(segment(index) for index in range(200)))
        refused = await refusal(export(server, transcript_service_pb2.EXPORT_FORMAT_TXT))
        assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "TRANSCRIPT_NOT_FOUND")


async def test_a_recording_without_transcript_has_nothing_to_export(server: Served) -> None:
    refused = await refusal(export(server, transcript_service_pb2.EXPORT_FORMAT_SRT))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "TRANSCRIPT_NOT_FOUND")


@pytest.mark.parametrize("format", [transcript_service_pb2.EXPORT_FORMAT_UNSPECIFIED, 99])
async def test_an_unknown_format_is_refused(server: Served, format: int) -> None:
    refused = await refusal(export(server, format))
    assert (refused.code, refused.field) == (grpc.StatusCode.INVALID_ARGUMENT, "format")


CALLS = {
    "CreateTranscript": (CreateTranscriptRequest(recording_id=RECORDING_ID, model="m"), "recordings.write"),
    "ListTranscripts": (ListTranscriptsRequest(recording_id=RECORDING_ID), "recordings.read"),
    "AppendSegments": (
        AppendSegmentsRequest(transcript_id=TRANSCRIPT_ID, segments=[segment()]),
        "recordings.write",
    ),
    "ListSegments": (ListSegmentsRequest(transcript_id=TRANSCRIPT_ID), "recordings.read"),
    "ExportTranscript": (
        ExportTranscriptRequest(recording_id=RECORDING_ID, format=transcript_service_pb2.EXPORT_FORMAT_TXT),
        "recordings.read",
    ),
}


async def called(server: Served, method: str, **options: Any) -> None:
    call = getattr(server.transcripts, method)(CALLS[method][0], **options)
    if method == "ExportTranscript":
        async for _ in call:
            pass
    else:
        await call


@pytest.mark.parametrize("method", CALLS)
async def test_a_call_needs_an_identity_and_its_scope(server: Served, method: str) -> None:
    nobody = await refusal(called(server, method))
    assert (nobody.code, nobody.reason) == (grpc.StatusCode.UNAUTHENTICATED, "IDENTITY_MISSING")
    scope = CALLS[method][1]
    scopes = frozenset({"speech", "search", "recordings.read", "recordings.write"} - {scope})
    lacking = await refusal(called(server, method, metadata=headers(scopes=scopes)))
    assert (lacking.code, lacking.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
    assert lacking.metadata == {"scope": scope}


@pytest.mark.parametrize("method", CALLS)
async def test_while_postgres_is_away_a_retry_is_asked_for(server: Served, method: str) -> None:
    await create(server)
    server.store.down = True
    refused = await refusal(called(server, method, metadata=headers()))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
    assert refused.metadata == {"dependency": "postgres"}
    assert refused.retry_s == 2.0
    server.store.down = False
    await called(server, method, metadata=headers())
