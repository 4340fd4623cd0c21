"""Transcriptions of files: asked for, listed, waited for, cancelled."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import grpc
from ai2text.asr.v1 import batch_pb2
from ai2text.asr.v1.speech_service_pb2 import BatchRecognizeRequest
from ai2text.asr.v1.speech_service_pb2_grpc import SpeechServiceStub
from google.longrunning import operations_pb2
from google.longrunning.operations_pb2_grpc import OperationsStub
from google.protobuf import duration_pb2
from google.rpc import status_pb2

from clients.cli.connection import Connection
from clients.cli.library import UUID_LENGTH, Library
from clients.cli.problem import Problem
from clients.cli.refusal import Refusal

PREFIX = "operations/"
PAGE_SIZE = 100
PREFIX_LOOKS_AT = 1000
"""How many of the newest jobs an abbreviated id is looked for in."""
TITLES_AT_ONCE = 8

_STATES = {
    batch_pb2.BATCH_FILE_STATE_QUEUED: "queued",
    batch_pb2.BATCH_FILE_STATE_RUNNING: "running",
    batch_pb2.BATCH_FILE_STATE_SUCCEEDED: "done",
    batch_pb2.BATCH_FILE_STATE_FAILED: "failed",
    batch_pb2.BATCH_FILE_STATE_CANCELLED: "cancelled",
}


@dataclass(frozen=True)
class Job:
    """One operation, as people see it."""

    job_id: str
    files: tuple[batch_pb2.BatchFile, ...]
    percent: int
    created: datetime
    updated: datetime
    is_done: bool
    error: status_pb2.Status | None

    @classmethod
    def of(cls, operation: operations_pb2.Operation) -> "Job":
        """What an operation says."""
        metadata = batch_pb2.BatchRecognizeMetadata()
        operation.metadata.Unpack(metadata)
        return cls(
            operation.name.removeprefix(PREFIX),
            tuple(metadata.files),
            metadata.progress_percent,
            metadata.create_time.ToDatetime(tzinfo=UTC),
            metadata.update_time.ToDatetime(tzinfo=UTC),
            operation.done,
            operation.error if operation.WhichOneof("result") == "error" else None,
        )

    @property
    def state(self) -> str:
        """queued, running, done, partly done, failed or cancelled."""
        states = {state_of(file) for file in self.files}
        if self.is_done:
            return states.pop() if len(states) == 1 else "cancelled" if "cancelled" in states else "partly done"
        return "running" if states & {"running", "done", "failed"} else "queued"

    @property
    def is_well(self) -> bool:
        """Whether it is done, with every file."""
        return self.is_done and all(state_of(file) == "done" for file in self.files)


def state_of(file: batch_pb2.BatchFile) -> str:
    """The state of a file in a word."""
    return _STATES.get(file.state, "unknown")


class Jobs:
    """Everything this command asks of the batch server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._operations = OperationsStub(connection.channel)
        self._speech = SpeechServiceStub(connection.channel)
        self._library = Library(connection)
        self._titles: dict[str, str] = {}

    async def newest(self, limit: int, running_only: bool = False) -> list[Job]:
        """Up to `limit` jobs, the newest first."""
        found: list[Job] = []
        token = ""
        while len(found) < limit:
            request = operations_pb2.ListOperationsRequest(
                filter="done=false" if running_only else "",
                page_size=min(PAGE_SIZE, limit - len(found)),
                page_token=token,
            )
            page = await self._connection.call(self._operations.ListOperations, request)
            found += map(Job.of, page.operations)
            token = page.next_page_token
            if not token:
                break
        return found[:limit]

    async def full_id(self, given: str) -> str:
        """The id that begins with `given`. Raises Problem when no job's does, or when several do."""
        given = given.removeprefix(PREFIX).lower()
        if len(given) >= UUID_LENGTH:
            return given
        ids = [job.job_id for job in await self.newest(PREFIX_LOOKS_AT)]
        matching = [id_ for id_ in ids if id_.startswith(given)]
        if not matching:
            raise Problem(f"No job's id begins with {given!r}.", "`ai2text jobs` shows what there is.")
        if len(matching) > 1:
            raise Problem(f"{len(matching)} jobs' ids begin with {given!r}.", f"One of them: {matching[0]}.")
        return matching[0]

    async def get(self, job_id: str) -> Job:
        """One job as it is. Raises Refusal (NOT_FOUND)."""
        request = operations_pb2.GetOperationRequest(name=PREFIX + job_id)
        return Job.of(await self._connection.call(self._operations.GetOperation, request))

    async def wait(self, job_id: str, seconds: float) -> Job:
        """The job once it is done, or as it is after so long. Raises Refusal (NOT_FOUND)."""
        timeout = duration_pb2.Duration(nanos=int(seconds * 1e9) % 1_000_000_000, seconds=int(seconds))
        request = operations_pb2.WaitOperationRequest(name=PREFIX + job_id, timeout=timeout)
        return Job.of(await self._connection.call(self._operations.WaitOperation, request))

    async def cancel(self, job_id: str) -> None:
        """Transcribe nothing more of it."""
        request = operations_pb2.CancelOperationRequest(name=PREFIX + job_id)
        await self._connection.call(self._operations.CancelOperation, request)

    async def transcribe(self, recording_ids: Sequence[str], language: str, request_id: str) -> Job:
        """Ask for new transcripts of recordings."""
        request = BatchRecognizeRequest(request_id=request_id, recording_ids=recording_ids, language_code=language)
        return Job.of(await self._connection.call(self._speech.BatchRecognize, request))

    async def titles(self, jobs: Sequence[Job]) -> dict[str, str]:
        """What the first recording of each job is called, by the job's id; recordings that are gone have no title."""
        wanted = {job.files[0].recording_id for job in jobs if job.files} - self._titles.keys()
        slots = asyncio.Semaphore(TITLES_AT_ONCE)

        async def look(recording_id: str) -> None:
            async with slots:
                try:
                    self._titles[recording_id] = (await self._library.recording(recording_id)).title
                except Refusal as refusal:
                    if refusal.code is not grpc.StatusCode.NOT_FOUND:
                        raise
                    self._titles[recording_id] = ""

        await asyncio.gather(*map(look, wanted))
        return {job.job_id: _title(job, self._titles) for job in jobs}


def _title(job: Job, titles: dict[str, str]) -> str:
    if not job.files:
        return ""
    first = titles[job.files[0].recording_id] or "(deleted)"
    return first if len(job.files) == 1 else f"{first} and {len(job.files) - 1} more"


def record(job: Job, title: str) -> dict[str, Any]:
    """A job as JSON."""
    return {
        "job_id": job.job_id,
        "state": job.state,
        "progress_percent": job.percent,
        "title": title,
        "create_time": job.created.isoformat(),
        "update_time": job.updated.isoformat(),
        "error": job.error.message if job.error is not None else "",
        "files": [
            {
                "recording_id": file.recording_id,
                "state": state_of(file),
                "progress_percent": file.progress_percent,
                "transcript_id": file.transcript_id,
                "segment_count": file.segment_count,
                "tries": file.tries,
                "error": file.error.message,
            }
            for file in job.files
        ],
    }


def age(since: datetime, now: datetime) -> str:
    """`12 s`, `3 min`, `5 h`, `2 d`: how long ago it was."""
    seconds = max(0, int((now - since).total_seconds()))
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
