"""An edge for the tests of `ai2text jobs`: small hand-written servers on a real port."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from ai2text.asr.v1 import batch_pb2, speech_service_pb2
from ai2text.metadata.v1 import recording_service_pb2_grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf import empty_pb2
from google.rpc import code_pb2, status_pb2

from servers.common import errors
from tests.rpc.cli_edge import RECORDING_ID, Recordings, TokenCheck, abort

QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED = range(1, 6)


def operation(
    number: int, *states: int, percent: int = 0, recording_id: str = RECORDING_ID, error: str = ""
) -> operations_pb2.Operation:
    """An operation whose files are in these states."""
    files = [
        batch_pb2.BatchFile(
            recording_id=recording_id,
            state=state,  # type: ignore[arg-type]
            progress_percent=percent,
            segment_count=3,
            tries=1,
            error=status_pb2.Status(code=code_pb2.INVALID_ARGUMENT, message="no audio") if state == FAILED else None,
        )
        for state in states
    ]
    metadata = batch_pb2.BatchRecognizeMetadata(files=files, progress_percent=percent)
    metadata.create_time.GetCurrentTime()
    metadata.update_time.GetCurrentTime()
    done = all(state > RUNNING for state in states)
    made = operations_pb2.Operation(name=name(number), done=done)
    made.metadata.Pack(metadata)
    if done and SUCCEEDED not in states:
        made.error.CopyFrom(status_pb2.Status(code=code_pb2.INVALID_ARGUMENT, message=error or "no audio"))
    elif done:
        made.response.Pack(batch_pb2.BatchRecognizeResponse(files=files))
    return made


def name(number: int) -> str:
    return f"operations/{number:08}-0000-4000-8000-000000000000"


@dataclass
class Operations(operations_pb2_grpc.OperationsServicer):  # type: ignore[misc]
    """Each operation goes through its states, one further each time that anybody looks at it; two a page."""

    states: dict[str, list[operations_pb2.Operation]] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    requests: list[speech_service_pb2.BatchRecognizeRequest] = field(default_factory=list)

    def put(self, *states: operations_pb2.Operation) -> None:
        self.states[states[0].name] = list(states)

    def ListOperations(self, request: Any, context: Any) -> Any:
        found = [states[0] for states in self.states.values()]
        for states in self.states.values():
            self._advance(states)
        wanted = [one for one in found if not one.done] if request.filter == "done=false" else found
        at = int(request.page_token or 0)
        token = str(at + 2) if at + 2 < len(wanted) else ""
        return operations_pb2.ListOperationsResponse(operations=wanted[at : at + 2], next_page_token=token)

    def GetOperation(self, request: Any, context: Any) -> Any:
        if request.name not in self.states:
            abort(context, errors.OperationNotFound("there is no such operation", name=request.name))
        states = self.states[request.name]
        found = states[0]
        self._advance(states)
        return found

    WaitOperation = GetOperation

    def CancelOperation(self, request: Any, context: Any) -> Any:
        self.cancelled.append(request.name)
        number = int(request.name.removeprefix("operations/")[:8])
        self.put(operation(number, CANCELLED, error="the operation was cancelled"))
        return empty_pb2.Empty()

    def BatchRecognize(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        self.put(operation(9, QUEUED))
        return self.states[name(9)][0]

    @staticmethod
    def _advance(states: list[operations_pb2.Operation]) -> None:
        if len(states) > 1:
            states.pop(0)


@dataclass
class JobsEdge:
    """What the tests see of it."""

    address: str
    operations: Operations
    recordings: Recordings


@contextlib.contextmanager
def serving() -> Iterator[JobsEdge]:
    """A fresh edge on a free port of 127.0.0.1."""
    server = grpc.server(ThreadPoolExecutor(8), interceptors=[TokenCheck()])
    operations, recordings = Operations(), Recordings()
    operations_pb2_grpc.add_OperationsServicer_to_server(operations, server)
    recording_service_pb2_grpc.add_RecordingServiceServicer_to_server(recordings, server)
    handler = grpc.unary_unary_rpc_method_handler(
        operations.BatchRecognize,
        request_deserializer=speech_service_pb2.BatchRecognizeRequest.FromString,
        response_serializer=operations_pb2.Operation.SerializeToString,
    )
    speech = grpc.method_handlers_generic_handler("ai2text.asr.v1.SpeechService", {"BatchRecognize": handler})
    server.add_generic_rpc_handlers((speech,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield JobsEdge(f"http://127.0.0.1:{port}", operations, recordings)
    finally:
        stopped: threading.Event = server.stop(None)
        stopped.wait(5)
