"""What is known of an operation has its field in the contract."""

from datetime import UTC, datetime

import pytest
from ai2text.asr.v1 import batch_pb2
from google.protobuf.json_format import MessageToDict

from servers.asr.batch import messages
from servers.asr.batch.progress import Failure, File, FileState, Operation, Progress


def told(*files: File, cancelled: bool = False) -> batch_pb2.BatchRecognizeMetadata:
    """The metadata of an operation with these files."""
    times = datetime(2026, 11, 26, 10, tzinfo=UTC), datetime(2026, 11, 26, 11, tzinfo=UTC)
    metadata = batch_pb2.BatchRecognizeMetadata()
    assert messages.operation(Operation("o", "lan", "vi", cancelled, *times, files)).metadata.Unpack(metadata)
    return metadata


def test_each_field_of_a_file_that_runs() -> None:
    metadata = told(File("r", FileState.RUNNING, Progress("t", 10_000, 2_500, 7), tries=2, attempt=5))
    assert MessageToDict(metadata, preserving_proto_field_name=True) == {
        "create_time": "2026-11-26T10:00:00Z",
        "update_time": "2026-11-26T11:00:00Z",
        "progress_percent": 25,
        "files": [
            {
                "recording_id": "r",
                "state": "BATCH_FILE_STATE_RUNNING",
                "progress_percent": 25,
                "transcript_id": "t",
                "segment_count": "7",
                "tries": 2,
            }
        ],
    }


@pytest.mark.parametrize("state", FileState)
def test_each_state_has_its_name(state: FileState) -> None:
    failure = Failure(3, "AUDIO_UNDECODABLE", "no audio") if state is FileState.FAILED else None
    (file,) = told(File("r", state, failure=failure), cancelled=state is FileState.CANCELLED).files
    assert batch_pb2.BatchFileState.Name(file.state) == f"BATCH_FILE_STATE_{state.name}"
    assert file.error.message == ("no audio" if failure else "")
