"""Operations in memory: an OperationStore, a Ledger and an UnfinishedStore without Postgres."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from servers.asr.batch.operations import NewOperation
from servers.asr.batch.pages import Place
from servers.asr.batch.progress import Failure, File, FileState, Job, Operation, Progress, TakenOver
from servers.asr.batch.reminders import Told
from servers.common import status
from servers.common.errors import Ai2TextError, DependencyUnavailable
from servers.common.outbox import Event

_BEGINNING = datetime(2026, 11, 25, tzinfo=UTC)


@dataclass
class MemoryOperations:
    """Keeps what a test needs; each thing that happens takes a second."""

    kept: dict[str, tuple[str, Operation]] = field(default_factory=dict)
    outbox: list[Event] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    away: bool = False
    whole: int = 0
    """How often an operation was read with its files."""
    looks: int = 0
    """How often it was asked whether one is done."""

    def __post_init__(self) -> None:
        self._seconds = itertools.count()

    def _now(self) -> datetime:
        if self.away:
            raise DependencyUnavailable("postgres")
        return _BEGINNING + timedelta(seconds=next(self._seconds))

    async def add(self, tenant: str, new: NewOperation, events: Sequence[Event]) -> Operation | None:
        """See OperationStore."""
        now = self._now()
        if new.operation_id not in {*self.kept, *self.deleted}:
            files = [File(recording_id) for recording_id in new.recording_ids]
            operation = Operation(new.operation_id, new.subject, new.language_code, False, now, now, files)
            self.kept[new.operation_id] = (tenant, operation)
            self.outbox += events
        return await self.operation(tenant, new.operation_id)

    async def operation(self, tenant: str, operation_id: str) -> Operation | None:
        """See OperationStore."""
        self.whole += 1
        self._now()
        return self._own(tenant, operation_id)

    async def is_done(self, tenant: str, operation_id: str) -> bool | None:
        """See OperationStore."""
        self.looks += 1
        self._now()
        operation = self._own(tenant, operation_id)
        return None if operation is None else operation.is_done

    def _own(self, tenant: str, operation_id: str) -> Operation | None:
        owner, operation = self.kept.get(operation_id, ("", None))
        return operation if owner == tenant else None

    async def operations(self, tenant: str, done: bool | None, after: Place | None, limit: int) -> Sequence[Operation]:
        """See OperationStore."""
        self._now()
        own = [
            operation
            for owner, operation in self.kept.values()
            if owner == tenant
            and done in (None, operation.is_done)
            and (after is None or (operation.create_time, operation.operation_id) < _pair(after))
        ]
        own.sort(key=lambda operation: (operation.create_time, operation.operation_id), reverse=True)
        return own[:limit]

    async def cancel(self, tenant: str, operation_id: str) -> bool:
        """See OperationStore."""
        operation = await self.operation(tenant, operation_id)
        if operation is None:
            return False
        if not operation.is_done:
            files = [
                file if file.state.is_done else replace(file, state=FileState.CANCELLED) for file in operation.files
            ]
            self.kept[operation_id] = (tenant, replace(operation, cancelled=True, update_time=self._now(), files=files))
        return True

    async def delete(self, tenant: str, operation_id: str) -> bool:
        """See OperationStore."""
        operation = await self.operation(tenant, operation_id)
        if operation is None or not operation.is_done:
            return False
        del self.kept[operation_id]
        self.deleted.add(operation_id)
        return True

    async def begin(self, job: Job) -> File | None:
        """See Ledger."""
        file = self.file(job)
        if file is None or file.state in (FileState.SUCCEEDED, FileState.CANCELLED):
            return file
        tries = 1 if file.state is FileState.FAILED else file.tries + 1
        return self._put(
            job, replace(file, state=FileState.RUNNING, tries=tries, attempt=file.attempt + 1, failure=None)
        )

    async def language(self, job: Job) -> str:
        """See Ledger."""
        operation = await self.operation(job.tenant, job.operation_id)
        return operation.language_code if operation else ""

    async def advance(self, job: Job, progress: Progress) -> bool:
        """See Ledger."""
        file = self._running(job)
        if file is None:
            return False
        tries = 1 if progress.done_ms > file.progress.done_ms else file.tries
        self._put(job, replace(file, progress=progress, tries=tries))
        return True

    async def holds(self, job: Job) -> bool:
        """See Ledger."""
        return self._running(job) is not None

    async def succeed(self, job: Job) -> None:
        """See Ledger."""
        self._end(job, FileState.SUCCEEDED, None)

    async def fail(self, job: Job, error: Ai2TextError) -> None:
        """See Ledger."""
        self._end(job, FileState.FAILED, Failure(status.of(error).code, error.reason, str(error)))

    async def put_back(self, job: Job, counted: bool) -> None:
        """See Ledger."""
        if (file := self._running(job)) is not None:
            self._put(job, replace(file, state=FileState.QUEUED, tries=file.tries - (0 if counted else 1)))

    async def unfinished(self, silent_s: float) -> Sequence[Job]:
        """See UnfinishedStore."""
        before = self._now() - timedelta(seconds=silent_s)
        return [
            Job(tenant, operation.subject, operation.operation_id, file.recording_id)
            for tenant, operation in self.kept.values()
            for file in operation.files
            if not file.state.is_done and operation.update_time < before
        ]

    async def untold(self) -> Sequence[Told]:
        """See UnfinishedStore."""
        return [Told(event.subject, event.payload) for event in self.outbox]

    async def ask_again(self, job: Job, silent_s: float, events: Sequence[Event]) -> bool:
        """See UnfinishedStore."""
        file = self.file(job)
        if file is None or job not in await self.unfinished(silent_s):
            return False
        self._put(job, file)
        self.outbox += events
        return True

    def file(self, job: Job) -> File | None:
        """The file of a job."""
        self._now()
        owner, operation = self.kept.get(job.operation_id, ("", None))
        if operation is None or owner != job.tenant:
            return None
        return next((file for file in operation.files if file.recording_id == job.recording_id), None)

    def _running(self, job: Job) -> File | None:
        """The file, if this try may change it; None when nothing is left to transcribe. TakenOver."""
        file = self.file(job)
        if file is None or file.state.is_done:
            return None
        if file.attempt != job.attempt:
            raise TakenOver
        return file if file.state is FileState.RUNNING else None

    def _end(self, job: Job, state: FileState, failure: Failure | None) -> None:
        if (file := self._running(job)) is not None:
            self._put(job, replace(file, state=state, failure=failure))

    def _put(self, job: Job, changed: File) -> File:
        tenant, operation = self.kept[job.operation_id]
        files = [changed if file.recording_id == changed.recording_id else file for file in operation.files]
        self.kept[job.operation_id] = (tenant, replace(operation, update_time=self._now(), files=files))
        return changed


def _pair(place: Place) -> tuple[datetime, str]:
    return place.create_time, place.operation_id
