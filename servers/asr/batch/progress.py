"""Operations and their files: how far each has come."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class TakenOver(Exception):
    """Another try has begun the file since: whoever meets this has to leave it alone."""


class FileState(Enum):
    """See `ai2text.asr.v1.BatchFileState`."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_done(self) -> bool:
        return self not in (FileState.QUEUED, FileState.RUNNING)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a file could not be transcribed, as a caller may see it."""

    code: int
    """A `google.rpc.Code`."""
    reason: str
    """An ErrorReason without its prefix."""
    message: str


@dataclass(frozen=True, slots=True)
class Progress:
    """What is settled of a file: to begin again there changes nothing that was stored."""

    transcript_id: str = ""
    """Empty before the first try has found the recording."""
    duration_ms: int = 0
    """Of the audio; 0 while unknown."""
    done_ms: int = 0
    """Before this place everything is transcribed and stored."""
    segment_count: int = 0
    """How many segments that made; the index of the next one."""


@dataclass(frozen=True, slots=True)
class File:
    """One recording of an operation."""

    recording_id: str
    state: FileState = FileState.QUEUED
    progress: Progress = Progress()
    tries: int = 0
    """Since it last came further."""
    attempt: int = 0
    """Counts every beginning, also those that are no try."""
    failure: Failure | None = None

    @property
    def percent(self) -> int:
        """How much of its audio is transcribed; 100 only when it is."""
        if self.state is FileState.SUCCEEDED:
            return 100
        if not self.progress.duration_ms:
            return 0
        return min(99, self.progress.done_ms * 100 // self.progress.duration_ms)


@dataclass(frozen=True, slots=True)
class Operation:
    """Recordings that are to be transcribed."""

    operation_id: str
    subject: str
    """Who asked for it."""
    language_code: str
    """What was asked for; empty: as each recording says."""
    cancelled: bool
    create_time: datetime
    update_time: datetime
    files: Sequence[File]

    @property
    def is_done(self) -> bool:
        return all(file.state.is_done for file in self.files)

    @property
    def percent(self) -> int:
        """How much of all audio is transcribed: by length where that is known, else by files."""
        if self.is_done:
            return 100
        lengths = [file.progress.duration_ms for file in self.files]
        known = [length for length in lengths if length]
        typical = sum(known) / len(known) if known else 1.0
        weights = [length or typical for length in lengths]
        done = sum(
            weight * (100 if file.state.is_done else file.percent)
            for weight, file in zip(weights, self.files, strict=True)
        )
        return min(99, int(done / sum(weights)))


@dataclass(frozen=True, slots=True)
class Job:
    """One file of an operation, as its event names it."""

    tenant: str
    subject: str
    operation_id: str
    recording_id: str
    attempt: int = 0
    """Which beginning of the file this is; 0 before it is begun."""
