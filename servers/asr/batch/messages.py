"""From the domain to the messages of the contract."""

from ai2text.asr.v1 import batch_pb2
from google.longrunning import operations_pb2
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from servers.asr.batch.operations import PREFIX
from servers.asr.batch.progress import Failure, File, FileState, Operation
from servers.common.status import DOMAIN, REASON_PREFIX

_STATES = {
    FileState.QUEUED: batch_pb2.BATCH_FILE_STATE_QUEUED,
    FileState.RUNNING: batch_pb2.BATCH_FILE_STATE_RUNNING,
    FileState.SUCCEEDED: batch_pb2.BATCH_FILE_STATE_SUCCEEDED,
    FileState.FAILED: batch_pb2.BATCH_FILE_STATE_FAILED,
    FileState.CANCELLED: batch_pb2.BATCH_FILE_STATE_CANCELLED,
}


def operation(found: Operation) -> operations_pb2.Operation:
    """The operation with its metadata and, once it is done, its response or its error."""
    files = [_file(file) for file in found.files]
    metadata = batch_pb2.BatchRecognizeMetadata(progress_percent=found.percent, files=files)
    metadata.create_time.FromDatetime(found.create_time)
    metadata.update_time.FromDatetime(found.update_time)
    message = operations_pb2.Operation(
        name=f"{PREFIX}{found.operation_id}", metadata=_packed(metadata), done=found.is_done
    )
    if found.is_done:
        if (error := _error(found)) is not None:
            message.error.CopyFrom(error)
        else:
            message.response.CopyFrom(_packed(batch_pb2.BatchRecognizeResponse(files=files)))
    return message


def _error(found: Operation) -> status_pb2.Status | None:
    """Why an operation that is done did not succeed; None when it did, with one file at least."""
    states = [file.state for file in found.files]
    if found.cancelled and FileState.CANCELLED in states:
        return status_pb2.Status(code=code_pb2.CANCELLED, message="the operation was cancelled")
    if FileState.SUCCEEDED in states:
        return None
    failure = next(file.failure for file in found.files if file.failure is not None)
    if len(states) == 1:
        return _status(failure)
    message = f"none of {len(states)} files could be transcribed; the first: {failure.message}"
    return _status(Failure(failure.code, failure.reason, message))


def _file(file: File) -> batch_pb2.BatchFile:
    return batch_pb2.BatchFile(
        recording_id=file.recording_id,
        state=_STATES[file.state],
        progress_percent=file.percent,
        transcript_id=file.progress.transcript_id,
        segment_count=file.progress.segment_count,
        error=_status(file.failure) if file.failure is not None else None,
        tries=file.tries,
    )


def _status(failure: Failure) -> status_pb2.Status:
    reason = error_details_pb2.ErrorInfo(reason=REASON_PREFIX + failure.reason, domain=DOMAIN)
    return status_pb2.Status(code=failure.code, message=failure.message, details=[_packed(reason)])


def _packed(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
