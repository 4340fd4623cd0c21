"""Which files are asked for again: those of which nobody will be told, and no others."""

import uuid
from dataclasses import dataclass, field

import pytest
from ai2text.events.v1.recording_events_pb2 import RecordingUploaded
from ai2text.events.v1.transcription_events_pb2 import TranscriptionRequested

from servers.asr.batch import announcement
from servers.asr.batch.operations import NewOperation, of_upload
from servers.asr.batch.progress import Job
from servers.asr.batch.reminders import Reminders, Told
from servers.common.errors import DependencyUnavailable
from tests.fakes.operation_store import MemoryOperations

UPLOADED, REQUESTED = "recording.uploaded", "transcription.requested"
FIRST, SECOND = (str(uuid.UUID(int=number)) for number in (7, 8))


@dataclass
class Queue:
    """A Backlog that holds what a test puts into it."""

    held: list[Told] = field(default_factory=list)
    asked: int = 0
    away: bool = False

    async def waiting(self) -> list[Told]:
        self.asked += 1
        if self.away:
            raise DependencyUnavailable("nats")
        return self.held


@dataclass
class Ground:
    """An operation of two files whose events have gone out."""

    store: MemoryOperations = field(default_factory=MemoryOperations)
    queue: Queue = field(default_factory=Queue)
    new: NewOperation = field(default_factory=lambda: NewOperation(str(uuid.uuid4()), "lan", "vi", [FIRST, SECOND]))

    @property
    def reminders(self) -> Reminders:
        return Reminders(self.store, self.queue, announcement.named, announcement.requested)

    def job(self, recording_id: str = FIRST, attempt: int = 1) -> Job:
        return Job("acme", "lan", self.new.operation_id, recording_id, attempt)

    async def look(self, silent_s: float = 0.0) -> list[tuple[str, str]]:
        """What a look asks for again: operation and recording of each."""
        count = await self.reminders.look(silent_s)
        sent = [TranscriptionRequested.FromString(event.payload) for event in self.store.outbox]
        assert count == len(sent)
        return [(event.operation_id, event.recording_id) for event in sent]


@pytest.fixture
async def ground() -> Ground:
    ground = Ground()
    await ground.store.add("acme", ground.new, [])
    return ground


async def test_what_nobody_will_be_told_of_is_asked_for_again_under_the_id_it_had(ground: Ground) -> None:
    assert await ground.look() == [(ground.new.operation_id, FIRST), (ground.new.operation_id, SECOND)]
    before = announcement.requested("acme", ground.new)
    assert [event.event_id for event in ground.store.outbox] == [event.event_id for event in before]
    event = TranscriptionRequested.FromString(ground.store.outbox[0].payload)
    assert (event.tenant, event.subject) == ("acme", "lan")


async def test_what_was_asked_for_again_waits_in_the_outbox_and_then_in_the_backlog(ground: Ground) -> None:
    await ground.look()
    assert await ground.reminders.look(0.0) == 0
    ground.queue.held = [Told(event.subject, event.payload) for event in ground.store.outbox]
    ground.store.outbox.clear()
    assert await ground.look() == []


async def test_a_file_that_is_being_heard_is_left_to_its_event(ground: Ground) -> None:
    await ground.store.begin(ground.job())
    events = announcement.requested("acme", ground.new)
    ground.queue.held = [Told(events[0].subject, events[0].payload)]
    assert await ground.look() == [(ground.new.operation_id, SECOND)]


async def test_a_file_whose_server_died_after_its_event_was_lost_is_asked_for(ground: Ground) -> None:
    await ground.store.begin(ground.job())
    assert (ground.new.operation_id, FIRST) in await ground.look()


@pytest.mark.parametrize("end", ["succeed", "fail", "cancel"])
async def test_what_is_done_is_not_asked_for(ground: Ground, end: str) -> None:
    await ground.store.begin(ground.job())
    if end == "cancel":
        await ground.store.cancel("acme", ground.new.operation_id)
        assert await ground.look() == []
        return
    await (ground.store.succeed(ground.job()) if end == "succeed" else ground.store.fail(ground.job(), Lost()))
    assert await ground.look() == [(ground.new.operation_id, SECOND)]


class Lost(DependencyUnavailable):
    """Some failure."""

    def __init__(self) -> None:
        super().__init__("objects")


async def test_an_upload_waits_as_what_it_becomes(ground: Ground) -> None:
    operation_id = of_upload(FIRST)
    await ground.store.cancel("acme", ground.new.operation_id)
    await ground.store.add("acme", NewOperation(operation_id, "lan", "", [FIRST]), [])
    payload = RecordingUploaded(tenant="acme", subject="lan", recording_id=FIRST.upper()).SerializeToString()
    ground.queue.held = [Told(UPLOADED, payload)]
    assert await ground.look() == []
    ground.queue.held = []
    assert await ground.look() == [(operation_id, FIRST)]


async def test_what_is_no_event_says_nothing_of_any_file(ground: Ground) -> None:
    ground.queue.held = [Told(UPLOADED, b"\xff"), Told(REQUESTED, b"\xff"), Told(REQUESTED, b""), Told(UPLOADED, b"")]
    assert len(await ground.look()) == 2


async def test_what_something_was_noted_of_a_moment_ago_is_left_alone(ground: Ground) -> None:
    assert await ground.look(silent_s=1000.0) == []


async def test_while_nothing_is_unfinished_nobody_is_asked(ground: Ground) -> None:
    await ground.store.cancel("acme", ground.new.operation_id)
    ground.queue.away = True
    assert await ground.look() == []
    assert ground.queue.asked == 0


async def test_while_nats_is_away_nothing_is_taken_for_lost(ground: Ground) -> None:
    ground.queue.away = True
    with pytest.raises(DependencyUnavailable):
        await ground.reminders.look(0.0)
    assert ground.store.outbox == []


async def test_what_is_done_between_two_looks_at_it_is_not_asked_for(ground: Ground) -> None:
    class Ending(Queue):
        async def waiting(self) -> list[Told]:
            await ground.store.cancel("acme", ground.new.operation_id)
            return []

    ground.queue = Ending()
    assert await ground.look() == []
