"""Files whose events went with the streams of JetStream: each is transcribed after all, and none a second time."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from ai2text.events.v1.recording_events_pb2 import RecordingUploaded

from servers.asr.batch import announcement, consumers
from servers.asr.batch.arrivals import Arrivals
from servers.asr.batch.backlog import READERS, BusBacklog
from servers.asr.batch.operations import NewOperation, of_upload
from servers.asr.batch.progress import File, FileState, Job
from servers.asr.batch.reminders import Reminders
from servers.asr.batch.store import PostgresOperations
from servers.common import events, streams
from servers.common.errors import AudioUndecodable, DependencyUnavailable
from servers.common.events import Bus
from servers.common.outbox import Event
from servers.common.postgres import Database
from servers.metadata import announcement as metadata_announcement
from servers.metadata import repetition
from servers.metadata.files import MediaInfo, StoredObject, key_of
from servers.metadata.library import Draft, Library
from servers.metadata.listeners import BusListeners
from servers.metadata.outbox_store import PostgresOutbox
from servers.metadata.recordings import Source
from servers.metadata.relay import Relay
from servers.metadata.retelling import Asked, Retelling
from servers.metadata.retelling_store import PostgresRetelling
from tests.stores.test_search_consumers import eventually

QUEUED, SUCCEEDED, FAILED = FileState.QUEUED, FileState.SUCCEEDED, FileState.FAILED


class OneTenant(PostgresOperations):
    """What other tests have left in the database is not asked for again."""

    tenant: str

    async def unfinished(self, silent_s: float) -> Sequence[Job]:
        return [file for file in await super().unfinished(silent_s) if file.tenant == self.tenant]


@dataclass
class Ground:
    """A batch server at which files are heard as a test says; metadata relays its events."""

    bus: Bus
    store: OneTenant
    relay: Relay
    library: Library
    retelling: Retelling
    tenant: str
    heard: list[str] = field(default_factory=list)
    """Each beginning, by its recording."""
    may_end: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_end.set()

    @property
    def reminders(self) -> Reminders:
        return Reminders(self.store, BusBacklog(self.bus), announcement.named, announcement.requested)

    async def look(self) -> int:
        """How many files are asked for again, and that their events have gone out."""
        count = await self.reminders.look(0.0)
        while await self.relay.relay_batch():
            pass
        return count

    async def hear(self, job: Job) -> None:
        """As Transcriber does it."""
        file = await self.store.begin(job)
        if file is None or file.state is not FileState.RUNNING:
            return
        self.heard.append(job.recording_id)
        await self.may_end.wait()
        await self.store.succeed(Job(job.tenant, job.subject, job.operation_id, job.recording_id, file.attempt))

    @asynccontextmanager
    async def consuming(self, *names: str) -> AsyncIterator[None]:
        """The batch server's own consumers, until the end of the block."""
        runs = consumers.jobs(self.bus, Arrivals(self.store, self.hear), 2, 60.0)
        async with asyncio.TaskGroup() as tasks:
            going = [tasks.create_task(runs[name]()) for name in names or runs]  # type: ignore[arg-type]
            yield
            for task in going:
                task.cancel()

    async def requested(self, files: int = 1) -> NewOperation:
        """An operation that was asked for."""
        new = NewOperation(str(uuid.uuid4()), "lan", "", [str(uuid.uuid4()) for _ in range(files)])
        await self.store.add(self.tenant, new, announcement.requested(self.tenant, new))
        while await self.relay.relay_batch():
            pass
        return new

    async def uploaded(self) -> str:
        """A recording with a file, of which metadata has told."""
        sha256 = uuid.uuid4().bytes * 2
        object = StoredObject(key_of(self.tenant, sha256), 10, sha256, 1)
        draft = Draft("Họp", Source.FILE, object=object, media=MediaInfo("wav", "pcm_s16le", 16000, 1, 1000))
        made = await self.library.create(self.tenant, "lan", draft)
        while await self.relay.relay_batch():
            pass
        return made.recording_id

    async def lose(self, *names: str) -> None:
        """NATS loses these streams, and has them made anew."""
        jetstream = await self.bus.jetstream()
        for name in names:
            await jetstream.delete_stream(name)
        self.bus.doubt_streams()
        await self.bus.jetstream()

    async def retell(self) -> None:
        """What metadata does when it finds new streams."""
        token = ""
        while True:
            token = (await self.retelling.go_on(Asked(self.tenant), token)).next_token
            while await self.relay.relay_batch():
                pass
            if not token:
                return

    async def files(self, operation_id: str) -> Sequence[File]:
        """Those of an operation; none while it is not there."""
        operation = await self.store.operation(self.tenant, operation_id)
        return operation.files if operation else []

    async def done(self, operation_id: str) -> bool:
        return await self.store.is_done(self.tenant, operation_id) is True

    async def idle(self) -> bool:
        """Whether nothing waits for those who transcribe."""
        return not sum([await self.bus.waiting(stream, durable) for _, stream, durable in READERS])


@pytest.fixture
async def ground(bus: Bus, database: Database) -> Ground:
    async def publish(event: Event) -> None:
        await events.publish(bus, event.subject, event.event_id, event.payload)

    store, relay = OneTenant(database), Relay(PostgresOutbox(database), publish)
    store.tenant = f"acme-{uuid.uuid4()}"
    kept = PostgresRetelling(database)
    library = Library(kept, metadata_announcement, relay.wake)
    return Ground(bus, store, relay, library, Retelling(kept, repetition, BusListeners(bus), relay.wake), store.tenant)


async def test_files_whose_events_were_lost_are_transcribed_once(ground: Ground) -> None:
    async with ground.consuming():
        before = await ground.requested()
        await eventually(lambda: ground.done(before.operation_id))
        await eventually(ground.idle)
    new, upload = await ground.requested(files=2), await ground.uploaded()
    async with ground.consuming("announcements"):
        await eventually(lambda: ground.files(of_upload(upload)))
    assert await ground.look() == 0  # their events wait
    await ground.lose("RECORDINGS", "TRANSCRIPTIONS")
    assert await ground.look() == 3
    assert await ground.look() == 0  # and wait now
    async with ground.consuming():
        await eventually(lambda: ground.done(new.operation_id))
        await eventually(lambda: ground.done(of_upload(upload)))
        await eventually(ground.idle)
    assert await ground.look() == 0
    assert sorted(ground.heard) == sorted([*before.recording_ids, *new.recording_ids, upload])


async def test_two_servers_that_look_at_once_ask_once(ground: Ground) -> None:
    await ground.requested(files=3)
    await ground.lose("TRANSCRIPTIONS")
    counts = await asyncio.gather(*(ground.reminders.look(0.0) for _ in range(4)))
    assert sum(counts) >= 3
    while await ground.relay.relay_batch():
        pass
    assert (await (await ground.bus.jetstream()).stream_info("TRANSCRIPTIONS")).state.messages == 3


async def test_a_file_that_is_being_heard_is_not_begun_a_second_time(ground: Ground) -> None:
    ground.may_end.clear()
    async with ground.consuming():
        new = await ground.requested()

        async def running() -> bool:
            return [file.state for file in await ground.files(new.operation_id)] == [FileState.RUNNING]

        await eventually(running)
        assert await ground.look() == 0
        ground.may_end.set()
        await eventually(lambda: ground.done(new.operation_id))
        await eventually(ground.idle)
    assert ground.heard == list(new.recording_ids)


async def test_what_was_heard_to_its_end_although_its_event_was_lost_is_not_heard_again(ground: Ground) -> None:
    new = await ground.requested()
    await ground.lose("TRANSCRIPTIONS")
    file = await ground.store.begin(Job(ground.tenant, "lan", new.operation_id, new.recording_ids[0]))
    assert file is not None
    assert await ground.look() == 1  # nobody sees that a server which has lost its event goes on
    await ground.store.succeed(Job(ground.tenant, "lan", new.operation_id, new.recording_ids[0], file.attempt))
    async with ground.consuming():
        await eventually(ground.idle)
    assert ground.heard == []


async def test_a_dead_letter_that_was_sent_back_waits_too(ground: Ground) -> None:
    upload = str(uuid.uuid4())
    await ground.store.add(ground.tenant, NewOperation(of_upload(upload), "lan", "", [upload]), [])
    event = RecordingUploaded(event_id="e", tenant=ground.tenant, subject="lan", recording_id=upload)
    subject = streams.replay_subject("batch", events.RECORDING_UPLOADED)
    await events.publish(ground.bus, subject, str(uuid.uuid4()), event.SerializeToString())
    assert await ground.look() == 0
    await ground.lose("RECORDINGS")
    assert await ground.look() == 1


async def test_what_lies_behind_a_long_backlog_is_seen(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servers.common.rereading.AT_ONCE", 3)
    new = await ground.requested(files=10)
    assert await ground.look() == 0
    assert len(await BusBacklog(ground.bus).waiting()) == 10
    jetstream = await ground.bus.jetstream()
    await jetstream.delete_msg("TRANSCRIPTIONS", 5)
    assert await ground.look() == 1
    assert {file.state for file in await ground.files(new.operation_id)} == {QUEUED}
    assert {info.name for info in await jetstream.consumers_info("TRANSCRIPTIONS")} == set()


async def test_streams_that_are_gone_are_made_anew_and_nothing_is_taken_for_lost_before(ground: Ground) -> None:
    await ground.requested()
    jetstream = await ground.bus.jetstream()
    await jetstream.delete_stream("TRANSCRIPTIONS")
    with pytest.raises(DependencyUnavailable):
        await ground.look()
    assert await ground.look() == 1


async def test_an_upload_that_was_lost_before_it_had_an_operation_gets_one_when_all_is_told_again(
    ground: Ground,
) -> None:
    lost = await ground.uploaded()
    await ground.lose("RECORDINGS", "TRANSCRIPTIONS")
    assert await ground.look() == 0  # no operation, so nobody knows
    await ground.retell()
    async with ground.consuming():
        await eventually(lambda: ground.files(of_upload(lost)))
        assert await ground.look() == 1
        await eventually(lambda: ground.done(of_upload(lost)))
        await eventually(ground.idle)
    await ground.retell()
    async with ground.consuming():
        await eventually(ground.idle)
        assert await ground.look() == 0
    assert ground.heard == [lost]


async def test_what_failed_is_not_begun_anew_when_all_is_told_again(ground: Ground) -> None:
    upload = await ground.uploaded()
    async with ground.consuming("announcements"):
        await eventually(lambda: ground.files(of_upload(upload)))
    file = await ground.store.begin(Job(ground.tenant, "lan", of_upload(upload), upload))
    assert file is not None
    failed = Job(ground.tenant, "lan", of_upload(upload), upload, file.attempt)
    await ground.store.fail(failed, AudioUndecodable("no audio"))
    await ground.lose("RECORDINGS", "TRANSCRIPTIONS")
    await ground.retell()
    async with ground.consuming():

        async def told() -> bool:
            return not await ground.bus.waiting("RECORDINGS", "batch-operations")

        await eventually(told)
        await eventually(ground.idle)
        assert await ground.look() == 0
    assert [file.state for file in await ground.files(of_upload(upload))] == [FAILED]
    assert ground.heard == []
