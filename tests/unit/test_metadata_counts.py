"""What there are too many of in a request is refused before any of it is read: all calls wait meanwhile."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from ai2text.metadata.v1 import recording_pb2, recording_service_pb2

from servers.common.errors import FieldInvalid
from servers.metadata import library, messages, transcripts
from servers.metadata.library import Update
from tests.fakes.unread import Unread


def segments(*words: int) -> Any:
    """An append of segments with so many words each."""
    return SimpleNamespace(segments=[SimpleNamespace(words=Unread(count)) for count in words])


@pytest.mark.parametrize(
    ("append", "field"),
    [
        (SimpleNamespace(segments=Unread(501)), "segments"),
        (segments(50_001), "segments[0].words"),
        (segments(30_000, 20_000, 1, 1), "segments[2].words"),
    ],
)
def test_an_append_that_is_too_much_is_not_read(append: Any, field: str) -> None:
    with pytest.raises(FieldInvalid) as refused:
        messages.segments(append)
    assert refused.value.field == field


def test_as_many_words_as_there_may_be_are_taken() -> None:
    transcripts.check_counts(500, [100] * 500)


def test_labels_and_masks_are_counted_before_they_are_read() -> None:
    given = Update("00000000-0000-4000-8000-000000000000", "", "", labels={}, mask=Unread(33))  # type: ignore[arg-type]
    with pytest.raises(FieldInvalid, match="must not have more than 32 paths, not 33") as masked:
        library._change(given)
    assert masked.value.field == "update_mask"
    with pytest.raises(FieldInvalid, match="must not hold more than 32 labels, not 33") as labelled:
        library._change(replace(given, labels=Unread(33), mask=()))  # type: ignore[arg-type]
    assert labelled.value.field == "recording.labels"


def test_what_may_be_too_many_is_handed_on_as_it_came() -> None:
    request = recording_service_pb2.UpdateRecordingRequest(recording=recording_pb2.Recording(labels={"a": "b"}))
    request.update_mask.paths.append("labels")
    made = messages.update(request)
    request.recording.labels["c"] = "d"
    request.update_mask.paths.append("title")
    assert (len(made.labels), len(made.mask)) == (2, 2), "it was copied, however long it may be"
