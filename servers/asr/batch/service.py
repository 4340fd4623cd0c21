"""SpeechService/BatchRecognize and google.longrunning.Operations: translation between the contract and the domain."""

from typing import Any

import grpc
from ai2text.asr.v1 import speech_service_pb2 as pb
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf import empty_pb2

from servers.asr.batch import messages
from servers.asr.batch.operations import LONGEST_WAIT_S, Operations
from servers.common import identity, lifecycle

SCOPE = "speech"
WRITE_SCOPE = "recordings.write"
DEFAULT_WAIT_S = 30.0
SPARE_S = 0.5
"""So long before its caller's deadline a wait is over, so that the answer arrives."""


class BatchSpeech:
    """The part of SpeechService that is served here; the edge leads its other methods elsewhere."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def BatchRecognize(self, request: pb.BatchRecognizeRequest, context: Any) -> operations_pb2.Operation:
        """Begin to transcribe recordings."""
        caller = identity.require(context, SCOPE)
        identity.require(context, WRITE_SCOPE)
        started = await self._operations.start(
            caller.tenant, caller.subject, request.request_id, request.recording_ids, request.language_code
        )
        return messages.operation(started)


class OperationsService(operations_pb2_grpc.OperationsServicer):  # type: ignore[misc]
    """See google/longrunning/operations.proto."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def GetOperation(self, request: operations_pb2.GetOperationRequest, context: Any) -> operations_pb2.Operation:
        """One operation as it is."""
        caller = identity.require(context, SCOPE)
        return messages.operation(await self._operations.get(caller.tenant, request.name))

    async def ListOperations(
        self, request: operations_pb2.ListOperationsRequest, context: Any
    ) -> operations_pb2.ListOperationsResponse:
        """A page of them, the newest first. The filter is empty, `done=true` or `done=false`."""
        caller = identity.require(context, SCOPE)
        found, token = await self._operations.list(
            caller.tenant, request.name, request.filter, request.page_size, request.page_token
        )
        return operations_pb2.ListOperationsResponse(operations=map(messages.operation, found), next_page_token=token)

    async def WaitOperation(
        self, request: operations_pb2.WaitOperationRequest, context: Any
    ) -> operations_pb2.Operation:
        """The operation once it is done, or as it is when the time is over."""
        caller = identity.require(context, SCOPE)
        asked_s = request.timeout.ToNanoseconds() / 1e9 if request.HasField("timeout") else DEFAULT_WAIT_S
        left_s = context.time_remaining()
        timeout_s = asked_s if left_s is None or asked_s < 0 else min(asked_s, max(0.0, left_s - SPARE_S))
        found = await self._operations.wait(caller.tenant, request.name, min(timeout_s, LONGEST_WAIT_S))
        return messages.operation(found)

    async def CancelOperation(self, request: operations_pb2.CancelOperationRequest, context: Any) -> empty_pb2.Empty:
        """Nothing more of it is transcribed."""
        caller = identity.require(context, SCOPE)
        await self._operations.cancel(caller.tenant, request.name)
        return empty_pb2.Empty()

    async def DeleteOperation(self, request: operations_pb2.DeleteOperationRequest, context: Any) -> empty_pb2.Empty:
        """Forget one that is done."""
        caller = identity.require(context, SCOPE)
        await self._operations.delete(caller.tenant, request.name)
        return empty_pb2.Empty()


def speech(operations: Operations) -> lifecycle.Mount:
    """Adds BatchRecognize to a server."""
    name: str = pb.DESCRIPTOR.services_by_name["SpeechService"].full_name

    def add(server: grpc.aio.Server) -> str:
        handler = grpc.unary_unary_rpc_method_handler(
            BatchSpeech(operations).BatchRecognize,
            request_deserializer=pb.BatchRecognizeRequest.FromString,
            response_serializer=operations_pb2.Operation.SerializeToString,
        )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"BatchRecognize": handler}),))
        return name

    return add


def long_running(operations: Operations) -> lifecycle.Mount:
    """Adds google.longrunning.Operations to a server."""

    def add(server: grpc.aio.Server) -> str:
        operations_pb2_grpc.add_OperationsServicer_to_server(OperationsService(operations), server)
        name: str = operations_pb2.DESCRIPTOR.services_by_name["Operations"].full_name
        return name

    return add
