"""What is stored is told again to whoever keeps an index of it."""

from collections.abc import Callable
from dataclasses import dataclass

from ai2text.metadata.v1 import retelling_service_pb2
from ai2text.metadata.v1.retelling_service_pb2_grpc import RetellingServiceStub

from clients.cli.connection import Connection

DEADLINE_S = 30.0
"""Of one call, which takes two seconds when all is well."""


@dataclass(frozen=True)
class Progress:
    """How far it has come."""

    recordings: int = 0
    segments: int = 0
    deleted: int = 0
    tenant: str = ""
    """That was told of last."""
    waiting: int = 0
    """How many events its readers had not done with."""
    token: str = ""
    """Where to go on; empty at the beginning and at the end."""

    def after(self, answer: retelling_service_pb2.RetellRecordingsResponse) -> "Progress":
        """With what one more call has told."""
        return Progress(
            self.recordings + answer.recording_count,
            self.segments + answer.segment_count,
            self.deleted + answer.deleted_count,
            answer.tenant,
            answer.waiting_count,
            answer.next_page_token,
        )

    @property
    def counts(self) -> str:
        """How much was told, in words."""
        gone = f", and of {self.deleted:,} that are deleted" if self.deleted else ""
        return f"{self.segments:,} segments of {self.recordings:,} recordings{gone}"


async def retell(
    connection: Connection, tenant: str, recording_id: str, token: str, show: Callable[[Progress], None]
) -> Progress:
    """Call until all is told; `show` hears of each call. Raises Refusal."""
    stub, progress = RetellingServiceStub(connection.channel), Progress(token=token)
    while True:
        request = retelling_service_pb2.RetellRecordingsRequest(
            tenant=tenant, recording_id=recording_id, page_token=progress.token
        )
        progress = progress.after(await connection.call(stub.RetellRecordings, request, DEADLINE_S))
        show(progress)
        if not progress.token:
            return progress
