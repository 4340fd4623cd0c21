"""What becomes of `embedding.created`, and what never can."""

import pytest
from ai2text.events.v1 import embedding_events_pb2, transcript_events_pb2

from servers.common.errors import FieldInvalid
from servers.search.arrivals import entry


def event() -> embedding_events_pb2.EmbeddingCreated:
    segment = transcript_events_pb2.SegmentContent(
        recording_id="R1",
        transcript_id="T1",
        segment_id="S1",
        start_ms=5,
        end_ms=9,
        text="Xin chào",
        language_code="vi",
        channel=1,
    )
    return embedding_events_pb2.EmbeddingCreated(tenant="acme", segment=segment, model="e5", vector=[0.6, 0.8])


def test_an_entry_has_all_that_the_event_tells() -> None:
    made = entry(event())
    assert (made.document.tenant, made.document.recording_id, made.document.segment_id) == ("acme", "r1", "s1")
    assert (made.document.start_ms, made.document.end_ms, made.document.text) == (5, 9, "Xin chào")
    assert (made.document.language_code, made.document.channel) == ("vi", 1)
    assert made.embedding.space == "e5/2"


def test_the_id_depends_on_tenant_and_segment_alone() -> None:
    other, same = event(), event()
    other.tenant = "rival"
    same.segment.text = "khác"
    assert entry(event()).document.id == entry(same).document.id != entry(other).document.id
    assert 0 <= entry(event()).document.id < 2**63


@pytest.mark.parametrize("field", ["tenant", "model", "segment.segment_id", "segment.recording_id", "segment.text"])
def test_what_is_missing_is_named(field: str) -> None:
    broken = event()
    holder = broken.segment if "." in field else broken
    holder.ClearField(field.removeprefix("segment."))  # type: ignore[arg-type]
    with pytest.raises(FieldInvalid) as info:
        entry(broken)
    assert info.value.field == field


def test_no_channel_is_beyond_those_of_a_stream() -> None:
    broken = event()
    for channel in (7, 8):
        broken.segment.channel = channel
        if channel == 7:
            assert entry(broken).document.channel == 7
            continue
        with pytest.raises(FieldInvalid) as info:
            entry(broken)
        assert info.value.field == "segment.channel"


@pytest.mark.parametrize("vector", [[], [0.0, 0.0], [3.0, 4.0], [float("nan"), 1.0], [float("inf")], [1.0] * 5000])
def test_a_vector_must_have_length_one(vector: list[float]) -> None:
    broken = event()
    del broken.vector[:]
    broken.vector.extend(vector)
    with pytest.raises(FieldInvalid) as info:
        entry(broken)
    assert info.value.field == "vector"
