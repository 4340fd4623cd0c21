"""Does anything get lost? While many files go through the mesh, each part on their way is killed (-9) once, at random.

Every upload that was acknowledged must be transcribed once; what is stored, told and found must match one to one; and
to do everything again must add nothing. `make test-faults` runs it on the mesh of `make up`.
"""

import argparse
import asyncio
import random
import sys
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from ai2text.ingestion.v1 import ingestion_service_pb2, ingestion_service_pb2_grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from rich.console import Console
from rich.table import Table

from bench import census, report
from bench.census import Census
from bench.ground import Ground
from mesh.keys import Keys
from mesh.supervision import Supervisor

VICTIMS = (
    "ingestion", "batch", "nlp", "embeddings", "search", "metadata", "nats", "postgres", "objects", "triton", "valkey",
)  # fmt: skip
"""The parts that a file meets on its way."""
EVERY_S = 0.4
"""A file comes so often, so that there are uploads under way as long as parts are killed."""
PIECE = 256 * 1024
DONE_WITHIN_S = 900.0
"""How long no operation may become done."""
PATIENCE_S = 300.0
"""How long one upload is tried again: longer than any part is away."""
RETRYABLE = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,  # what Envoy makes of a connection that breaks in mid-message
)


@dataclass
class Uploads:
    """What was sent."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    """The operation of each recording."""
    calls: int = 0
    retries: int = 0
    failed: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    """The operations that ended in an error or not at all, and why."""


@dataclass(frozen=True)
class Line:
    """A channel to the edge for one tenant."""

    channel: grpc.aio.Channel
    headers: Sequence[tuple[str, str]]
    tenant: str


class FaultsRun:
    """One run."""

    def __init__(self, ground: Ground, files: int, seed: int, console: Console) -> None:
        self._ground = ground
        self._seed = seed
        self._console = console
        clips = ground.clips()
        self._paths = [clips[number % len(clips)].path for number in range(files)]
        self._languages = [clips[number % len(clips)].language for number in range(files)]
        self.kills: list[str] = []

    async def run(self) -> tuple[Uploads, Census, Uploads, Census]:
        """The uploads and what there was in the end, and both again after everything was done again."""
        tenant = f"faults-{self._seed}-{uuid.uuid4().hex[:6]}"
        token = Keys(self._ground.home.keys).mint("bench", tenant)
        async with grpc.aio.insecure_channel(self._ground.target) as channel:
            line = Line(channel, (("authorization", f"Bearer {token}"),), tenant)
            uploads = Uploads()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._killer())
                tasks.create_task(self._upload_all(line, uploads, EVERY_S))
            self._console.print(f"  {len(uploads.acknowledged)} uploads acknowledged, {uploads.retries} retries")
            await self._finished(line, uploads)
            first = await self._counted(line)
            self._console.print("  everything once more")
            again = Uploads()
            await self._upload_all(line, again, 0.0)
            await self._finished(line, again)
            return uploads, first, again, await self._counted(line)

    async def _killer(self) -> None:
        """Kills each part once, in an order and at moments that follow from the seed; the last may still be away."""
        chance = random.Random(self._seed)
        victims = chance.sample(VICTIMS, len(VICTIMS))
        supervisor = Supervisor(self._ground.home, self._ground.ports)
        for victim in victims:
            await asyncio.sleep(chance.uniform(1.0, 6.0))
            await asyncio.to_thread(supervisor.signal, victim, "KILL")
            self.kills.append(victim)
            self._console.print(f"  kill -9 {victim}")

    async def _upload_all(self, line: Line, uploads: Uploads, every_s: float) -> None:
        places = asyncio.Semaphore(4)

        async def one(number: int) -> None:
            await asyncio.sleep(number * every_s)
            async with places:
                await self._upload(line, uploads, number)

        await asyncio.gather(*(one(number) for number in range(len(self._paths))))

    async def _upload(self, line: Line, uploads: Uploads, number: int) -> None:
        path = self._paths[number]
        named = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{line.tenant}/{number}/{path.name}"))
        file = ingestion_service_pb2.UploadFile(
            request_id=named, title=f"{number:03} {path.stem}", language_code=self._languages[number]
        )
        stub = ingestion_service_pb2_grpc.IngestionServiceStub(line.channel)
        until, delay = time.monotonic() + PATIENCE_S, 0.25
        while True:
            uploads.calls += 1
            try:
                answer = await stub.UploadRecording(messages(file, path), metadata=line.headers, timeout=60)
                uploads.acknowledged[answer.recording.recording_id] = answer.operation
                return
            except grpc.aio.AioRpcError as error:
                if error.code() not in RETRYABLE or time.monotonic() > until:
                    uploads.failed.append(f"{path.name}: {error.code().name} {error.details()}")
                    return
            uploads.retries += 1
            await asyncio.sleep(delay)
            delay = min(2 * delay, 5.0)

    async def _finished(self, line: Line, uploads: Uploads) -> None:
        """Wait until every operation is done, and what follows from it has arrived."""
        stub = operations_pb2_grpc.OperationsStub(line.channel)
        until = time.monotonic() + DONE_WITHIN_S
        for operation in uploads.acknowledged.values():
            if why := await not_done(stub, line, operation, until):
                uploads.undone.append(f"{operation}: {why}")
            else:
                until = time.monotonic() + DONE_WITHIN_S
        until, before = time.monotonic() + 120, (-1, -1)
        while time.monotonic() < until:
            now = await self._counted(line)
            if not now.lost and before == (len(now.segments), now.vectors):
                return
            before = (len(now.segments), now.vectors)
            await asyncio.sleep(2)

    async def _counted(self, line: Line) -> Census:
        nats_url = f"nats://{self._ground.ports.address('nats')}"
        index = self._ground.home.search / "documents.sqlite"
        return await census.taken(line.channel, line.headers, line.tenant, nats_url, index)


async def not_done(stub: operations_pb2_grpc.OperationsStub, line: Line, name: str, until: float) -> str:
    """Why an operation has not ended well, when it has ended or `until` (monotonic) has come; empty when it has."""
    request = operations_pb2.GetOperationRequest(name=name)
    while True:
        try:
            operation = await stub.GetOperation(request, metadata=line.headers, timeout=15)
            if operation.done:
                error = operation.error
                return (error.message or f"error {error.code}") if operation.HasField("error") else ""
            why = "still in work"
        except grpc.aio.AioRpcError as error:
            if error.code() not in (*RETRYABLE, grpc.StatusCode.NOT_FOUND):
                raise
            why = f"{error.code().name} {error.details()}"
        if time.monotonic() > until:
            return f"{why} after {DONE_WITHIN_S / 60:.0f} minutes"
        await asyncio.sleep(1)


async def messages(
    file: ingestion_service_pb2.UploadFile, path: Path
) -> AsyncIterator[ingestion_service_pb2.UploadRecordingRequest]:
    """The messages of one upload."""
    yield ingestion_service_pb2.UploadRecordingRequest(file=file)
    with path.open("rb") as opened:
        while chunk := opened.read(PIECE):
            yield ingestion_service_pb2.UploadRecordingRequest(chunk=chunk)


def shown(uploads: Uploads, first: Census, second: Census) -> Table:
    """What there was, beside what there was after everything was done again."""
    table = Table("what", "after the faults", "after doing all again")
    counts = [
        ("recordings", len(first.recordings), len(second.recordings)),
        ("transcripts", len(transcripts(first)), len(transcripts(second))),
        ("segments", len(first.segments), len(second.segments)),
        ("events transcript.finalized, different ones", len(set(first.announced)), len(set(second.announced))),
        ("events embedding.created, different ones", len(set(first.embedded)), len(set(second.embedded))),
        ("documents", len(first.documents), len(second.documents)),
        ("vectors", first.vectors, second.vectors),
        ("dead letters", len(first.dead_letters), len(second.dead_letters)),
        ("lost", first.lost, second.lost),
        ("doubled", first.doubled, second.doubled),
    ]
    table.add_row("uploads acknowledged", str(len(uploads.acknowledged)), "")
    for what, *figures in counts:
        table.add_row(what, *map(str, figures))
    return table


def faults(uploads: Uploads, first: Census, again: Uploads, second: Census) -> list[str]:
    """What is wrong, in words; none when nothing was lost or doubled."""
    silent = set(uploads.acknowledged) - set(first.transcripts)
    rows = ("recordings", "transcripts", "segments", "documents", "vectors")
    before, after = (
        (len(c.recordings), len(transcripts(c)), len(c.segments), len(c.documents), c.vectors) for c in (first, second)
    )
    others = transcripts(first) != transcripts(second) and len(transcripts(first)) == len(transcripts(second))
    return [
        *(f"not uploaded: {failure}" for failure in uploads.failed),
        *(f"not uploaded again: {failure}" for failure in again.failed),
        *(f"not done: {failure}" for failure in dict.fromkeys(uploads.undone + again.undone)),
        *([f"{len(silent)} acknowledged uploads have no transcript"] if silent else []),
        *([f"{first.lost} segments are lost"] if first.lost else []),
        *([f"{first.doubled} things are doubled"] if first.doubled else []),
        *(f"a dead letter: {reason}" for reason in first.dead_letters),
        *(f"{name}: {b} became {a}" for name, b, a in zip(rows, before, after, strict=True) if a != b),
        *(["there are other transcripts than before"] if others else []),
    ]


def transcripts(census: Census) -> set[str]:
    """The names of all."""
    return {name for of_one in census.transcripts.values() for name in of_one}


def main() -> int:
    """Run, print the counts, write build/bench/faults.json; 1 when anything was lost, doubled or left undone."""
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    Ground.add_arguments(parser)
    parser.add_argument("--files", type=int, default=100, help="how many files (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="of the order and moments (default: another each time)")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(1_000_000)
    console = Console(highlight=False)
    console.print(f"{report.machine()}; {options.files} files, seed {seed} (again with --seed {seed})")
    run = FaultsRun(Ground.of(options), options.files, seed, console)
    uploads, first, again, second = asyncio.run(run.run())
    console.print(shown(uploads, first, second))
    wrong = faults(uploads, first, again, second)
    report.write(
        "faults",
        {
            "seed": seed,
            "kills": len(run.kills),
            "uploads_acknowledged": len(uploads.acknowledged),
            "transcripts": len(transcripts(first)),
            "operations_not_done": len(uploads.undone),
            "segments": len(first.segments),
            "vectors": first.vectors,
            "lost": first.lost + len(set(uploads.acknowledged) - set(first.transcripts)),
            "doubled": first.doubled,
        },
    )
    for line in wrong:
        console.print(f"[red]✗[/] {line}")
    console.print("[red]failed[/]" if wrong else "[green]nothing is lost, nothing is doubled[/]")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
