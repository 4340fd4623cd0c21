"""BatchRecognize and google.longrunning.Operations over a real port: what they do, and every way to be refused."""

import asyncio
import base64
import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from ai2text.asr.v1 import batch_pb2
from ai2text.asr.v1.speech_service_pb2 import BatchRecognizeRequest, GetCapabilitiesRequest
from ai2text.events.v1.transcription_events_pb2 import TranscriptionRequested
from google.longrunning import operations_pb2 as pb
from google.protobuf import duration_pb2
from google.rpc import code_pb2, error_details_pb2

from servers.asr.batch import pages
from servers.asr.batch.progress import Job, Progress
from servers.common.errors import AudioUndecodable
from tests.rpc.batch_server import BatchServer, running
from tests.rpc.embeddings_server import headers
from tests.rpc.refusals import refusal

ALLOWED = headers("speech", "recordings.write")
OTHERS = headers("speech", "recordings.write", tenant="beta")


@pytest.fixture
async def server() -> AsyncIterator[BatchServer]:
    async with running() as server:
        yield server


def recordings(server: BatchServer, count: int = 1, tenant: str = "acme") -> list[str]:
    """Recordings of a tenant with files."""
    ids = [str(uuid.uuid4()) for _ in range(count)]
    server.shelf.files.update({(tenant, id_): True for id_ in ids})
    return ids


async def started(server: BatchServer, count: int = 1, **fields: Any) -> tuple[pb.Operation, list[str]]:
    ids = recordings(server, count)
    request = BatchRecognizeRequest(recording_ids=ids, **fields)
    return await server.speech.BatchRecognize(request, metadata=ALLOWED), ids


def metadata_of(operation: pb.Operation) -> batch_pb2.BatchRecognizeMetadata:
    found = batch_pb2.BatchRecognizeMetadata()
    assert operation.metadata.Unpack(found)
    return found


def job(operation: pb.Operation, recording_id: str) -> Job:
    return Job("acme", "lan", operation.name.removeprefix("operations/"), recording_id, attempt=1)


async def succeed(server: BatchServer, operation: pb.Operation, recording_id: str) -> None:
    await server.store.begin(job(operation, recording_id))
    await server.store.succeed(job(operation, recording_id))


async def fail(server: BatchServer, operation: pb.Operation, recording_id: str) -> None:
    await server.store.begin(job(operation, recording_id))
    await server.store.fail(job(operation, recording_id), AudioUndecodable("no audio"))


async def test_an_operation_begins_with_an_event_for_each_recording(server: BatchServer) -> None:
    operation, ids = await started(server, 2, language_code="vi")
    assert operation.name.startswith("operations/")
    assert not operation.done
    found = metadata_of(operation)
    assert [file.recording_id for file in found.files] == ids
    assert {file.state for file in found.files} == {batch_pb2.BATCH_FILE_STATE_QUEUED}
    assert found.progress_percent == 0
    assert found.create_time.ToSeconds() == found.update_time.ToSeconds()
    events = [TranscriptionRequested.FromString(event.payload) for event in server.store.outbox]
    assert [(event.recording_id, event.tenant, event.subject) for event in events] == [
        (id_, "acme", "lan") for id_ in ids
    ]
    assert {f"operations/{event.operation_id}" for event in events} == {operation.name}
    assert len({event.event_id for event in events}) == 2
    assert [(event.subject, event.ordering_key) for event in server.store.outbox] == [
        ("transcription.requested", id_) for id_ in ids
    ]


async def test_a_repeated_request_finds_what_the_first_began(server: BatchServer) -> None:
    request_id = str(uuid.uuid4())
    first, ids = await started(server, 2, request_id=request_id)
    server.shelf.files.clear()  # they may have been deleted meanwhile
    request = BatchRecognizeRequest(request_id=request_id.upper(), recording_ids=ids)
    again = await server.speech.BatchRecognize(request, metadata=ALLOWED)
    assert again.name == first.name
    assert len(server.store.outbox) == 2


async def test_a_request_id_of_another_tenant_means_another_operation(server: BatchServer) -> None:
    request_id = str(uuid.uuid4())
    first, _ = await started(server, request_id=request_id)
    theirs = BatchRecognizeRequest(request_id=request_id, recording_ids=recordings(server, 1, "beta"))
    second = await server.speech.BatchRecognize(theirs, metadata=OTHERS)
    assert second.name != first.name


@pytest.mark.parametrize("change", ["others", "fewer", "order", "language"])
async def test_a_request_id_with_other_content_is_taken(server: BatchServer, change: str) -> None:
    request_id = str(uuid.uuid4())
    _, ids = await started(server, 2, request_id=request_id)
    asked = {"others": recordings(server, 2), "fewer": ids[:1], "order": ids[::-1], "language": ids}[change]
    language = "vi" if change == "language" else ""
    request = BatchRecognizeRequest(request_id=request_id, recording_ids=asked, language_code=language)
    refused = await refusal(server.speech.BatchRecognize(request, metadata=ALLOWED))
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ALREADY_EXISTS")


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"recording_ids": []}, "FIELD_INVALID", "recording_ids"),
        ({"recording_ids": [str(uuid.uuid4()) for _ in range(1001)]}, "FIELD_INVALID", "recording_ids"),
        ({"recording_ids": [str(uuid.UUID(int=7))] * 2}, "FIELD_INVALID", "recording_ids"),
        ({"recording_ids": [str(uuid.UUID(int=7)), "no uuid"]}, "FIELD_INVALID", "recording_ids[1]"),
        ({"recording_ids": [str(uuid.UUID(int=7))], "request_id": "x"}, "FIELD_INVALID", "request_id"),
        ({"recording_ids": [str(uuid.UUID(int=7))], "language_code": "xx"}, "LANGUAGE_UNSUPPORTED", ""),
        ({"recording_ids": [str(uuid.UUID(int=7))], "language_code": "v" * 10_000}, "LANGUAGE_UNSUPPORTED", ""),
    ],
)
async def test_what_cannot_be_begun(server: BatchServer, fields: dict[str, Any], reason: str, field: str) -> None:
    refused = await refusal(server.speech.BatchRecognize(BatchRecognizeRequest(**fields), metadata=ALLOWED))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert refused.field == field
    assert not server.store.kept


async def test_a_recording_that_is_not_there_or_has_no_file_is_refused(server: BatchServer) -> None:
    ids = recordings(server, 2)
    gone = await refusal(
        server.speech.BatchRecognize(
            BatchRecognizeRequest(recording_ids=[*ids, str(uuid.UUID(int=7))]), metadata=ALLOWED
        )
    )
    assert (gone.code, gone.reason) == (grpc.StatusCode.NOT_FOUND, "RECORDING_NOT_FOUND")
    assert gone.metadata == {"recording_id": str(uuid.UUID(int=7))}
    server.shelf.files["acme", ids[1]] = False
    live = await refusal(server.speech.BatchRecognize(BatchRecognizeRequest(recording_ids=ids), metadata=ALLOWED))
    assert (live.code, live.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RECORDING_WITHOUT_FILE")
    theirs = await refusal(server.speech.BatchRecognize(BatchRecognizeRequest(recording_ids=ids), metadata=OTHERS))
    assert theirs.reason == "RECORDING_NOT_FOUND"
    assert not server.store.kept


@pytest.mark.parametrize(
    ("caller", "code", "reason"),
    [
        ((), grpc.StatusCode.UNAUTHENTICATED, "IDENTITY_MISSING"),
        (headers("search"), grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING"),
        (headers("speech"), grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING"),
        (headers("recordings.write"), grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING"),
    ],
)
async def test_who_may_not_begin(server: BatchServer, caller: Any, code: grpc.StatusCode, reason: str) -> None:
    request = BatchRecognizeRequest(recording_ids=recordings(server))
    refused = await refusal(server.speech.BatchRecognize(request, metadata=caller))
    assert (refused.code, refused.reason) == (code, reason)


def calls(server: BatchServer, name: str) -> dict[str, Any]:
    """Each method that takes the name of an operation, called with it."""
    operations = server.operations
    return {
        "GetOperation": lambda caller: operations.GetOperation(pb.GetOperationRequest(name=name), metadata=caller),
        "WaitOperation": lambda caller: operations.WaitOperation(pb.WaitOperationRequest(name=name), metadata=caller),
        "CancelOperation": lambda caller: operations.CancelOperation(
            pb.CancelOperationRequest(name=name), metadata=caller
        ),
        "DeleteOperation": lambda caller: operations.DeleteOperation(
            pb.DeleteOperationRequest(name=name), metadata=caller
        ),
    }


METHODS = ["GetOperation", "WaitOperation", "CancelOperation", "DeleteOperation"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "name", ["", "operations/", "operations/7", str(uuid.UUID(int=7)), "operations/" + "7" * 10000]
)
async def test_a_name_that_is_none(server: BatchServer, method: str, name: str) -> None:
    refused = await refusal(calls(server, name)[method](ALLOWED))
    assert (refused.code, refused.reason, refused.field) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", "name")


@pytest.mark.parametrize("method", METHODS)
async def test_an_operation_that_is_not_there_or_another_tenants(server: BatchServer, method: str) -> None:
    operation, _ = await started(server)
    for name, caller in ((f"operations/{uuid.uuid4()}", ALLOWED), (operation.name, OTHERS)):
        refused = await refusal(calls(server, name)[method](caller))
        assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "OPERATION_NOT_FOUND")
        assert refused.metadata == {"name": name}


@pytest.mark.parametrize("method", [*METHODS, "ListOperations"])
async def test_who_may_not_ask_for_operations(server: BatchServer, method: str) -> None:
    asked = calls(server, f"operations/{uuid.uuid4()}") | {
        "ListOperations": lambda caller: server.operations.ListOperations(pb.ListOperationsRequest(), metadata=caller)
    }
    assert (await refusal(asked[method](()))).code is grpc.StatusCode.UNAUTHENTICATED
    assert (await refusal(asked[method](headers("recordings.read")))).reason == "SCOPE_MISSING"


@pytest.mark.parametrize("method", [*METHODS, "ListOperations", "BatchRecognize"])
async def test_without_postgres_a_retry_helps(server: BatchServer, method: str) -> None:
    request = BatchRecognizeRequest(request_id=str(uuid.uuid4()), recording_ids=recordings(server))
    server.store.away = True
    asked = calls(server, f"operations/{uuid.uuid4()}") | {
        "ListOperations": lambda caller: server.operations.ListOperations(pb.ListOperationsRequest(), metadata=caller),
        "BatchRecognize": lambda caller: server.speech.BatchRecognize(request, metadata=caller),
    }
    refused = await refusal(asked[method](ALLOWED))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
    assert refused.retry_s


async def test_without_metadata_nothing_is_begun(server: BatchServer) -> None:
    server.shelf.away = True
    request = BatchRecognizeRequest(recording_ids=[str(uuid.uuid4())])
    refused = await refusal(server.speech.BatchRecognize(request, metadata=ALLOWED))
    assert (refused.code, refused.metadata) == (grpc.StatusCode.UNAVAILABLE, {"dependency": "metadata"})


async def test_progress_is_told_in_per_cent_of_the_audio(server: BatchServer) -> None:
    operation, ids = await started(server, 2)
    for recording_id, progress in zip(
        ids, (Progress("t", 30_000, 15_000, 3), Progress("t", 90_000, 0, 0)), strict=True
    ):
        await server.store.begin(job(operation, recording_id))
        await server.store.advance(job(operation, recording_id), progress)
    found = metadata_of(
        await server.operations.GetOperation(pb.GetOperationRequest(name=operation.name), metadata=ALLOWED)
    )
    assert [(file.progress_percent, file.segment_count, file.tries) for file in found.files] == [(50, 3, 1), (0, 0, 1)]
    assert found.progress_percent == 12
    assert found.update_time.ToSeconds() > found.create_time.ToSeconds()


async def test_one_file_that_succeeds_makes_a_response(server: BatchServer) -> None:
    operation, ids = await started(server, 2)
    await fail(server, operation, ids[0])
    await succeed(server, operation, ids[1])
    done = await server.operations.GetOperation(pb.GetOperationRequest(name=operation.name), metadata=ALLOWED)
    response = batch_pb2.BatchRecognizeResponse()
    assert done.done
    assert done.response.Unpack(response)
    assert [file.state for file in response.files] == [
        batch_pb2.BATCH_FILE_STATE_FAILED,
        batch_pb2.BATCH_FILE_STATE_SUCCEEDED,
    ]
    info = error_details_pb2.ErrorInfo()
    assert response.files[0].error.details[0].Unpack(info)
    assert (response.files[0].error.code, info.reason) == (
        code_pb2.INVALID_ARGUMENT,
        "ERROR_REASON_AUDIO_UNDECODABLE",
    )
    assert metadata_of(done).progress_percent == 100


@pytest.mark.parametrize("count", [1, 3])
async def test_without_any_file_that_succeeds_there_is_an_error(server: BatchServer, count: int) -> None:
    operation, ids = await started(server, count)
    for recording_id in ids:
        await fail(server, operation, recording_id)
    done = await server.operations.GetOperation(pb.GetOperationRequest(name=operation.name), metadata=ALLOWED)
    assert done.done
    assert done.WhichOneof("result") == "error"
    assert done.error.code == code_pb2.INVALID_ARGUMENT
    assert "no audio" in done.error.message
    info = error_details_pb2.ErrorInfo()
    assert done.error.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("ERROR_REASON_AUDIO_UNDECODABLE", "ai2text")


async def test_a_cancelled_operation_is_done_with_cancelled(server: BatchServer) -> None:
    operation, ids = await started(server, 2)
    await succeed(server, operation, ids[0])
    for _ in range(2):
        await server.operations.CancelOperation(pb.CancelOperationRequest(name=operation.name), metadata=ALLOWED)
    done = await server.operations.GetOperation(pb.GetOperationRequest(name=operation.name), metadata=ALLOWED)
    assert (done.done, done.error.code) == (True, code_pb2.CANCELLED)


async def test_operations_are_listed_page_by_page(server: BatchServer) -> None:
    names = [(await started(server))[0].name for _ in range(5)]
    found, token = [], ""
    while True:
        request = pb.ListOperationsRequest(name="operations", page_size=2, page_token=token)
        page = await server.operations.ListOperations(request, metadata=ALLOWED)
        found += [operation.name for operation in page.operations]
        token = page.next_page_token
        if not token:
            break
    assert found == names[::-1]
    theirs = await server.operations.ListOperations(pb.ListOperationsRequest(), metadata=OTHERS)
    assert not theirs.operations


async def test_operations_are_listed_by_whether_they_are_done(server: BatchServer) -> None:
    operation, ids = await started(server)
    other, _ = await started(server)
    await succeed(server, operation, ids[0])
    for filter, names in (("done=true", [operation.name]), ("done=false", [other.name])):
        page = await server.operations.ListOperations(pb.ListOperationsRequest(filter=filter), metadata=ALLOWED)
        assert [found.name for found in page.operations] == names


async def test_a_page_holds_few_large_operations(server: BatchServer) -> None:
    for _ in range(12):
        await started(server, 1000)
    page = await server.operations.ListOperations(pb.ListOperationsRequest(page_size=200), metadata=ALLOWED)
    assert len(page.operations) == 10
    assert page.next_page_token


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "projects"}, "name"),
        ({"filter": "state=x"}, "filter"),
        ({"filter": "x" * 10_000}, "filter"),
        ({"page_size": -1}, "page_size"),
    ],
)
async def test_what_cannot_be_listed(server: BatchServer, fields: dict[str, Any], field: str) -> None:
    call = server.operations.ListOperations(pb.ListOperationsRequest(**fields), metadata=ALLOWED)
    refused = await refusal(call)
    assert (refused.code, refused.field) == (grpc.StatusCode.INVALID_ARGUMENT, field)


async def test_a_page_token_is_good_for_one_list_only(server: BatchServer) -> None:
    for _ in range(3):
        await started(server)
    request = pb.ListOperationsRequest(page_size=1)
    token = (await server.operations.ListOperations(request, metadata=ALLOWED)).next_page_token
    for wrong, filter, caller in (
        ("nonsense", "", ALLOWED),
        ("é", "", ALLOWED),
        (token[:-4] + "AAAA", "", ALLOWED),
        (token, "done=false", ALLOWED),
        (token, "", OTHERS),
    ):
        asked = pb.ListOperationsRequest(page_size=1, filter=filter, page_token=wrong)
        refused = await refusal(server.operations.ListOperations(asked, metadata=caller))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


async def test_a_wait_ends_when_the_operation_is_done(server: BatchServer) -> None:
    operation, ids = await started(server)
    request = pb.WaitOperationRequest(name=operation.name, timeout=duration_pb2.Duration(seconds=50))
    read = server.store.whole
    waiting = asyncio.ensure_future(server.operations.WaitOperation(request, metadata=ALLOWED))
    async with asyncio.timeout(10):
        while server.store.looks < 2:
            await asyncio.sleep(0.01)
    assert not waiting.done()
    assert server.store.whole == read, "it is looked at, and not read, all the while"
    await succeed(server, operation, ids[0])
    assert (await asyncio.wait_for(waiting, 10)).done
    assert server.store.whole == read + 1


async def test_a_wait_ends_with_its_time(server: BatchServer) -> None:
    operation, _ = await started(server)
    short = pb.WaitOperationRequest(name=operation.name, timeout=duration_pb2.Duration(nanos=200_000_000))
    assert not (await server.operations.WaitOperation(short, metadata=ALLOWED)).done
    unsaid = pb.WaitOperationRequest(name=operation.name)
    assert not (await server.operations.WaitOperation(unsaid, metadata=ALLOWED, timeout=1.5)).done


async def test_a_wait_of_less_than_nothing_is_refused(server: BatchServer) -> None:
    operation, _ = await started(server)
    request = pb.WaitOperationRequest(name=operation.name, timeout=duration_pb2.Duration(seconds=-1))
    refused = await refusal(server.operations.WaitOperation(request, metadata=ALLOWED))
    assert (refused.code, refused.field) == (grpc.StatusCode.INVALID_ARGUMENT, "timeout")


@pytest.mark.parametrize("bound", ["MOST_WAITING", "MOST_WAITING_OF_TENANT"])
async def test_only_so_many_may_wait_and_those_that_leave_make_room(
    server: BatchServer, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(f"servers.asr.batch.operations.{bound}", 1)
    operation, ids = await started(server)
    request = pb.WaitOperationRequest(name=operation.name, timeout=duration_pb2.Duration(seconds=50))
    waiting = server.operations.WaitOperation(request, metadata=ALLOWED)
    short = pb.WaitOperationRequest(name=operation.name, timeout=duration_pb2.Duration())

    async def refused() -> bool:
        try:
            await server.operations.WaitOperation(short, metadata=ALLOWED)
        except grpc.aio.AioRpcError as error:
            return error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        return False

    async with asyncio.timeout(10):
        while not await refused():
            await asyncio.sleep(0.01)
        waiting.cancel()
        while await refused():
            await asyncio.sleep(0.01)
    await succeed(server, operation, ids[0])


async def test_what_runs_cannot_be_deleted_and_what_is_done_is_forgotten(server: BatchServer) -> None:
    operation, _ = await started(server)
    request = pb.DeleteOperationRequest(name=operation.name)
    refused = await refusal(server.operations.DeleteOperation(request, metadata=ALLOWED))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "OPERATION_RUNNING")
    assert refused.metadata == {"name": operation.name}
    await server.operations.CancelOperation(pb.CancelOperationRequest(name=operation.name), metadata=ALLOWED)
    await server.operations.DeleteOperation(request, metadata=ALLOWED)
    gone = await refusal(server.operations.DeleteOperation(request, metadata=ALLOWED))
    assert gone.reason == "OPERATION_NOT_FOUND"


async def test_the_other_methods_of_the_speech_service_are_elsewhere(server: BatchServer) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await server.speech.GetCapabilities(GetCapabilitiesRequest(), metadata=ALLOWED)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


NOON = "2026-11-26T12:00:00+00:00"


@pytest.mark.parametrize(
    "place",
    ["", "noon", f"{NOON} first", f" {uuid.UUID(int=1)}", f"2026-11-26T12:00:00 {uuid.UUID(int=1)}", f"{NOON} \x00"],
)
async def test_a_page_token_that_somebody_has_made_up_is_refused(server: BatchServer, place: str) -> None:
    await started(server)
    digest = pages._digest(("acme", ""), place)  # which takes no secret
    token = base64.urlsafe_b64encode(digest + place.encode()).decode().rstrip("=")
    asked = pb.ListOperationsRequest(page_token=token)
    refused = await refusal(server.operations.ListOperations(asked, metadata=ALLOWED))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
