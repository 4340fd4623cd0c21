"""Files of recordings out of the mesh again: where they can be had, and the way to the disk."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import aiohttp
from ai2text.ingestion.v1 import ingestion_service_pb2
from ai2text.ingestion.v1.ingestion_service_pb2_grpc import IngestionServiceStub
from yarl import URL

from clients.cli.connection import Connection
from clients.cli.problem import Problem
from clients.cli.uploading import LONGEST_PAUSE_S, ROUNDS_WITHOUT_PROGRESS, Progressed

READ_BYTES = 1 << 20

File = ingestion_service_pb2.CreateDownloadResponse


async def file_of(connection: Connection, recording_id: str) -> File:
    """What the recording's file is, and where it can be had for some minutes. Raises Refusal, also when it has none."""
    stub = IngestionServiceStub(connection.channel)
    request = ingestion_service_pb2.CreateDownloadRequest(recording_id=recording_id)
    file = await connection.call(stub.CreateDownload, request)
    if urlsplit(file.url).scheme not in ("http", "https"):
        raise Problem("The server gave no address that can be opened.")
    return file


class Broken(Problem):
    """The file did not come to its end; it may, another time."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, "What has come is kept: the same command goes on from there.")


class Download:
    """A file on its way to the disk.

    What has come is kept beside the target under a name of its own until it is whole and is what was uploaded; so a
    download that breaks off goes on, also when it is begun anew, and nobody ever sees half a file.
    """

    def __init__(self, connection: Connection, http: aiohttp.ClientSession, recording_id: str, file: File) -> None:
        self._connection = connection
        self._http = http
        self._recording_id = recording_id
        self._file = file
        self._sha256 = hashlib.sha256()
        self._came = 0

    async def save(self, target: Path, replace: bool, progressed: Progressed) -> None:
        """Bring it to `target`; `replace` overwrites what is there. Raises Problem."""
        part = target.with_name(f".ai2text-{self._file.sha256.hex()[:32]}.part")
        with _writing(target), _alone(part) as output:
            await self._fill(output, progressed)
            output.flush()
            os.fsync(output.fileno())
            if self._sha256.digest() != self._file.sha256:
                part.unlink()
                raise Problem("What came is not what was uploaded: its SHA-256 is another.", "Try again.")
            _name(part, target, replace)

    async def _fill(self, output: BinaryIO, progressed: Progressed) -> None:
        """Get what is missing, again and again while that helps."""
        await asyncio.to_thread(self._take_up, output)
        stalled = 0
        while self._came < self._file.size_bytes:
            before = self._came
            progressed(before)
            try:
                await self._get(output, progressed)
            except Broken as broken:
                stalled = 0 if self._came > before else stalled + 1
                if stalled > ROUNDS_WITHOUT_PROGRESS:
                    raise
                await asyncio.sleep(min(0.5 * 2**stalled, LONGEST_PAUSE_S) * random.uniform(0.5, 1.0))
                await self._ask_again(broken)
        progressed(self._came)

    def _take_up(self, output: BinaryIO) -> None:
        """Go on after what came before; what is no beginning of this file is dropped. Blocks."""
        output.seek(0)
        while piece := output.read(READ_BYTES):
            self._sha256.update(piece)
            self._came += len(piece)
        if self._came > self._file.size_bytes:
            self._begin_anew(output)

    def _begin_anew(self, output: BinaryIO) -> None:
        output.seek(0)
        output.truncate()
        self._sha256, self._came = hashlib.sha256(), 0

    async def _ask_again(self, broken: Broken) -> None:
        """For another address: the old one may have expired."""
        file = await file_of(self._connection, self._recording_id)
        if file.sha256 != self._file.sha256:
            raise Problem("The recording's file has changed meanwhile.") from broken
        self._file = file

    async def _get(self, output: BinaryIO, progressed: Progressed) -> None:
        headers = {"Range": f"bytes={self._came}-", "Accept-Encoding": "identity"}
        try:
            async with self._http.get(URL(self._file.url, encoded=True), headers=headers) as answer:
                if answer.status not in (200, 206):
                    raise Broken(f"The object store does not give the file: HTTP {answer.status}.")
                if answer.status == 200 and self._came:  # all of it, although only the rest was wanted
                    self._begin_anew(output)
                async for piece in answer.content.iter_chunked(READ_BYTES):
                    self._came += len(piece)
                    if self._came > self._file.size_bytes:
                        raise Problem("The object store gives more than the file that was uploaded.")
                    await asyncio.to_thread(self._write, output, piece)
                    progressed(self._came)
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise Broken(f"The object store does not answer: {error or type(error).__name__}.") from error
        if self._came < self._file.size_bytes:
            raise Broken("The object store gave less than the whole file.")

    def _write(self, output: BinaryIO, piece: bytes) -> None:
        output.write(piece)
        self._sha256.update(piece)


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    """What the disk refuses, in words."""
    try:
        yield
    except OSError as error:
        raise Problem(f"{target} cannot be written: {error.strerror or error}.") from error


@contextlib.contextmanager
def _alone(part: Path) -> Iterator[BinaryIO]:
    """The file, open to read and to be added to, for this process only. Raises Problem while another one has it."""
    while True:
        with part.open("a+b") as output:
            try:
                fcntl.flock(output, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Problem("The same file is being downloaded to there at the moment.") from None
            if _is_still(part, output):
                yield output
                return
        # Another process has just made it a finished file: what was opened is that, and must not be touched.


def _is_still(part: Path, output: BinaryIO) -> bool:
    try:
        return os.path.samestat(part.stat(), os.fstat(output.fileno()))
    except FileNotFoundError:
        return False


def _name(part: Path, target: Path, replace: bool) -> None:
    """Give the finished file its name, at once and whole. Raises Problem when somebody else has taken the name."""
    if not replace:
        try:
            os.link(part, target)
        except FileExistsError:
            raise taken(target) from None
        except OSError:  # a file system without hard links
            if target.exists():
                raise taken(target) from None
        else:
            part.unlink()
            return
    part.replace(target)


def taken(target: Path) -> Problem:
    """What is wrong when there is a file already."""
    return Problem(f"There is a file {target} already.", "--force writes over it; --to names another.")
