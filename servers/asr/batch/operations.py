"""What can be asked of operations: begun, looked at, waited for, cancelled, forgotten."""

import asyncio
import itertools
import re
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from servers.asr.batch import pages
from servers.asr.batch.pages import Place
from servers.asr.batch.progress import Operation
from servers.common import backoff
from servers.common.errors import (
    AlreadyExists,
    FieldInvalid,
    LanguageUnsupported,
    OperationNotFound,
    OperationRunning,
    Overloaded,
)
from servers.common.outbox import Event

PREFIX = "operations/"
MOST_RECORDINGS = 1000
MOST_WAITING = 200
MOST_WAITING_OF_TENANT = 50
LONGEST_WAIT_S = 60.0
CHECKED_AT_ONCE = 16

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FILTERS = {"": None, "done=true": True, "done=false": False}


@dataclass(frozen=True, slots=True)
class NewOperation:
    """An operation that does not exist yet, as far as anybody knows."""

    operation_id: str
    subject: str
    language_code: str
    recording_ids: Sequence[str]


class OperationStore(Protocol):
    """Keeps operations. A tenant sees its own only. Every method raises DependencyUnavailable."""

    async def add(self, tenant: str, new: NewOperation, events: Sequence[Event]) -> Operation | None:
        """The operation of this id, which may have been there before, with other content; None when it is another
        tenant's. The events are kept only with a new one."""

    async def operation(self, tenant: str, operation_id: str) -> Operation | None:
        """None when there is none."""

    async def is_done(self, tenant: str, operation_id: str) -> bool | None:
        """Whether all its files are done, which is asked often while somebody waits; None when there is none."""

    async def operations(self, tenant: str, done: bool | None, after: Place | None, limit: int) -> Sequence[Operation]:
        """The newest first, behind `after`; only those that are done, or are not, unless `done` is None."""

    async def cancel(self, tenant: str, operation_id: str) -> bool:
        """Every file that is not done is cancelled. Whether there is such an operation."""

    async def delete(self, tenant: str, operation_id: str) -> bool:
        """Whether there was such an operation and it was done. Its id is never given again."""


Announce = Callable[[str, NewOperation], Sequence[Event]]
"""The events that ask for the transcription of each recording of a tenant's new operation."""

CheckRecording = Callable[[str, str, str], Awaitable[None]]
"""Raises RecordingNotFound or RecordingWithoutFile: tenant, subject, recording."""


class Operations:
    """The operations of all tenants."""

    def __init__(
        self, store: OperationStore, announce: Announce, check_recording: CheckRecording, languages: frozenset[str]
    ) -> None:
        self._store = store
        self._announce = announce
        self._check_recording = check_recording
        self._languages = languages
        self._waiting: Counter[str] = Counter()

    async def start(
        self, tenant: str, subject: str, request_id: str, recording_ids: Sequence[str], language_code: str
    ) -> Operation:
        """Begin, or find what an earlier call with this request began. FieldInvalid, LanguageUnsupported,
        RecordingNotFound, RecordingWithoutFile, AlreadyExists."""
        operation_id = _id_of_request(tenant, request_id)
        ids = _recordings(recording_ids)
        if language_code and language_code not in self._languages:
            raise LanguageUnsupported("the model does not know this language", language_code=language_code[:20])
        new = NewOperation(operation_id, subject, language_code, ids)
        known = await self._store.operation(tenant, operation_id) if request_id else None
        if known is None:
            await self._check_recordings(tenant, subject, ids)
            known = await self._store.add(tenant, new, self._announce(tenant, new))
        if known is None or not _is_same(known, new):
            raise AlreadyExists("this request_id was used before: for other recordings, or it is deleted")
        return known

    async def get(self, tenant: str, name: str) -> Operation:
        """FieldInvalid, OperationNotFound."""
        found = await self._store.operation(tenant, _id(name))
        if found is None:
            raise _not_found(name)
        return found

    async def list(
        self, tenant: str, parent: str, filter: str, page_size: int, page_token: str
    ) -> tuple[Sequence[Operation], str]:
        """A page of them, the newest first, and the token of the next. FieldInvalid, PageTokenInvalid."""
        if parent not in ("", "operations"):
            raise FieldInvalid("name", "must be 'operations'")
        if filter not in _FILTERS:
            raise FieldInvalid("filter", "must be empty, 'done=true' or 'done=false'")
        if page_size < 0:
            raise FieldInvalid("page_size", "must not be negative")
        wanted = min(page_size or pages.DEFAULT_SIZE, pages.LONGEST)
        after = pages.place(page_token, (tenant, filter))
        found = await self._store.operations(tenant, _FILTERS[filter], after, wanted + 1)
        shown = _within(found[:wanted], pages.MOST_FILES)
        if len(found) == len(shown):
            return shown, ""
        return shown, pages.token(Place(shown[-1].create_time, shown[-1].operation_id), (tenant, filter))

    async def wait(self, tenant: str, name: str, timeout_s: float) -> Operation:
        """The operation once it is done, or as it is after `timeout_s`, at most LONGEST_WAIT_S. FieldInvalid,
        OperationNotFound, Overloaded.

        While it is waited for, only whether it is done is read, for it may have many files; it is read whole once.
        """
        if timeout_s < 0:
            raise FieldInvalid("timeout", "must not be negative")
        if self._waiting.total() >= MOST_WAITING or self._waiting[tenant] >= MOST_WAITING_OF_TENANT:
            raise Overloaded("too many callers wait for operations")
        self._waiting[tenant] += 1
        try:
            return await self._wait(tenant, name, min(timeout_s, LONGEST_WAIT_S))
        finally:
            self._waiting[tenant] -= 1
            self._waiting += Counter()  # forgets tenants of whom nobody waits

    async def _wait(self, tenant: str, name: str, timeout_s: float) -> Operation:
        operation_id = _id(name)
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        for delay in backoff.delays(first_s=0.1, longest_s=1.0):
            left = until - loop.time()
            if left <= 0 or await self._store.is_done(tenant, operation_id) is not False:
                break
            await asyncio.sleep(min(delay, left))
        return await self.get(tenant, name)

    async def cancel(self, tenant: str, name: str) -> None:
        """What is done stays done. FieldInvalid, OperationNotFound."""
        if not await self._store.cancel(tenant, _id(name)):
            raise _not_found(name)

    async def delete(self, tenant: str, name: str) -> None:
        """Forget it; its transcripts stay. FieldInvalid, OperationNotFound, OperationRunning."""
        if await self._store.delete(tenant, _id(name)):
            return
        await self.get(tenant, name)
        raise OperationRunning("the operation is not done: cancel it first", name=name)

    async def _check_recordings(self, tenant: str, subject: str, ids: Sequence[str]) -> None:
        slots = asyncio.Semaphore(CHECKED_AT_ONCE)

        async def check(recording_id: str) -> None:
            async with slots:
                await self._check_recording(tenant, subject, recording_id)

        try:
            async with asyncio.TaskGroup() as group:
                for recording_id in ids:
                    group.create_task(check(recording_id))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None


def of_upload(recording_id: str) -> str:
    """The id of the operation that transcribes an upload."""
    return str(uuid.uuid5(uuid.UUID(recording_id), "transcription"))


def transcript_of(operation_id: str, recording_id: str) -> str:
    """The id of the transcript that an operation makes of a recording."""
    return str(uuid.uuid5(uuid.UUID(operation_id), recording_id))


def _id_of_request(tenant: str, request_id: str) -> str:
    if not request_id:
        return str(uuid.uuid4())
    if not _UUID.fullmatch(request_id.lower()):
        raise FieldInvalid("request_id", "is not a UUID")
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"ai2text:batch:{tenant}:{request_id.lower()}"))


def _recordings(given: Sequence[str]) -> list[str]:
    if not 1 <= len(given) <= MOST_RECORDINGS:
        raise FieldInvalid("recording_ids", f"must name 1 to {MOST_RECORDINGS} recordings, not {len(given)}")
    lowered = [recording_id.lower() for recording_id in given]
    for place, recording_id in enumerate(lowered):
        if not _UUID.fullmatch(recording_id):
            raise FieldInvalid(f"recording_ids[{place}]", "is not a UUID")
    if len(set(lowered)) < len(lowered):
        raise FieldInvalid("recording_ids", "names a recording twice")
    return lowered


def _within(found: Sequence[Operation], most_files: int) -> Sequence[Operation]:
    """The first of them that have so many files together, and at least one."""
    files = itertools.accumulate(len(operation.files) for operation in found)
    return found[: max(1, sum(count <= most_files for count in files))]


def _is_same(known: Operation, new: NewOperation) -> bool:
    asked = [file.recording_id for file in known.files]
    return known.language_code == new.language_code and asked == list(new.recording_ids)


def _id(name: str) -> str:
    """The id in the name of an operation."""
    operation_id = name.removeprefix(PREFIX).lower()
    if not name.startswith(PREFIX) or not _UUID.fullmatch(operation_id):
        raise FieldInvalid("name", "must be 'operations/' and a UUID")
    return operation_id


def _not_found(name: str) -> OperationNotFound:
    return OperationNotFound("there is no such operation", name=name)
