"""The demo's file: uploaded, transcribed by the batch transcriber, refined, read back."""

import asyncio
import uuid

import aiohttp
from ai2text.metadata.v1 import transcript_pb2

from clients.cli.connection import Connection
from clients.cli.demo.clips import Reference
from clients.cli.jobs import PREFIX, Job, Jobs
from clients.cli.library import Library
from clients.cli.problem import Problem
from clients.cli.refusal import Refusal
from clients.cli.uploading import HTTP_TIMEOUT, Uploader, Wanted

DONE_WITHIN_S = 60.0
LOOK_S = 5.0
KNOWN_AFTER_S = 0.2


async def transcribed(connection: Connection, reference: Reference, title: str) -> list[transcript_pb2.Segment]:
    """Upload the file as a recording of its own, and wait for what is said in it. Raises Problem."""
    wanted = Wanted(title, reference.language_code, turn=str(uuid.uuid4()))
    async with aiohttp.ClientSession(timeout=HTTP_TIMEOUT) as http:
        stored = await Uploader(connection, http, wanted).upload(reference.path, lambda _: None)
    try:
        async with asyncio.timeout(DONE_WITHIN_S):
            job = await _done(Jobs(connection), stored.operation.removeprefix(PREFIX))
    except TimeoutError:
        raise Problem(
            f"The file was not transcribed within {DONE_WITHIN_S:.0f} s.", "`make logs PART=batch` shows why."
        ) from None
    if not job.is_well:
        raise Problem("The file could not be transcribed.", f"`ai2text jobs show {job.job_id[:8]}` says why.")
    return await Library(connection).segments(stored.recording.recording_id)


async def _done(jobs: Jobs, job_id: str) -> Job:
    """The job when it has ended; it is there some milliseconds after its upload."""
    while True:
        try:
            job = await jobs.wait(job_id, LOOK_S)
        except Refusal as refusal:
            if refusal.details.reason != "OPERATION_NOT_FOUND":
                raise
            await asyncio.sleep(KNOWN_AFTER_S)
            continue
        if job.is_done:
            return job
