"""What the events of uploads and requests become."""

import uuid
from typing import Any

import pytest
from ai2text.events.v1.recording_events_pb2 import RecordingUploaded
from ai2text.events.v1.transcription_events_pb2 import TranscriptionRequested

from servers.asr.batch.arrivals import Arrivals
from servers.asr.batch.progress import Job, TakenOver
from servers.common.errors import InvalidInput
from servers.common.events import HandledElsewhere
from tests.fakes.operation_store import MemoryOperations

RECORDING = str(uuid.UUID(int=7))
OPERATION = str(uuid.UUID(int=8))
UPLOADED = {"tenant": "acme", "subject": "lan", "recording_id": RECORDING, "object_key": "audio/acme/1"}
REQUESTED = {"tenant": "acme", "subject": "lan", "recording_id": RECORDING, "operation_id": OPERATION}


class Arrived:
    """Jobs, as they come."""

    def __init__(self) -> None:
        self.store = MemoryOperations()
        self.jobs: list[Job] = []
        self.arrivals = Arrivals(self.store, self.take)

    async def take(self, job: Job) -> None:
        self.jobs.append(job)


async def test_a_job_that_another_has_taken_over_is_left_to_it() -> None:
    async def taken_over(job: Job) -> None:
        raise TakenOver

    arrivals = Arrivals(MemoryOperations(), taken_over)
    with pytest.raises(HandledElsewhere):
        await arrivals.uploaded(RecordingUploaded(**UPLOADED))
    with pytest.raises(HandledElsewhere):
        await arrivals.requested(TranscriptionRequested(**REQUESTED))


async def test_an_upload_has_one_operation_however_often_it_is_told_of() -> None:
    arrived = Arrived()
    for _ in range(2):
        await arrived.arrivals.uploaded(RecordingUploaded(**UPLOADED))
    operation_id = str(uuid.uuid5(uuid.UUID(RECORDING), "transcription"))
    assert arrived.jobs == [Job("acme", "lan", operation_id, RECORDING)] * 2
    assert list(arrived.store.kept) == [operation_id]
    operation = await arrived.store.operation("acme", operation_id)
    assert operation is not None
    assert (operation.subject, [file.recording_id for file in operation.files]) == ("lan", [RECORDING])
    assert arrived.store.outbox == []


async def test_an_upload_is_seen_before_its_turn_has_come() -> None:
    arrived = Arrived()
    await arrived.arrivals.announced(RecordingUploaded(**UPLOADED))
    assert len(arrived.store.kept) == 1
    assert arrived.jobs == []
    await arrived.arrivals.announced(RecordingUploaded())
    await arrived.arrivals.uploaded(RecordingUploaded(**UPLOADED))
    assert (len(arrived.store.kept), len(arrived.jobs)) == (1, 1)


async def test_a_request_names_its_operation() -> None:
    arrived = Arrived()
    await arrived.arrivals.requested(TranscriptionRequested(**REQUESTED))
    assert arrived.jobs == [Job("acme", "lan", OPERATION, RECORDING)]
    assert arrived.store.kept == {}


@pytest.mark.parametrize("change", [{"tenant": ""}, {"subject": ""}, {"recording_id": ""}, {"recording_id": "x"}])
async def test_an_upload_that_lacks_something_is_poison(change: dict[str, Any]) -> None:
    arrived = Arrived()
    with pytest.raises(InvalidInput):
        await arrived.arrivals.uploaded(RecordingUploaded(**(UPLOADED | change)))
    assert arrived.jobs == []


@pytest.mark.parametrize(
    "change", [{"tenant": ""}, {"subject": ""}, {"recording_id": "x"}, {"operation_id": ""}, {"operation_id": "x"}]
)
async def test_a_request_that_lacks_something_is_poison(change: dict[str, Any]) -> None:
    arrived = Arrived()
    with pytest.raises(InvalidInput):
        await arrived.arrivals.requested(TranscriptionRequested(**(REQUESTED | change)))
    assert arrived.jobs == []
