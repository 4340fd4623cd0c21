"""What the speech server says of a method that the batch server has."""

import grpc
import pytest
from ai2text.asr.v1 import speech_service_pb2

from tests.rpc.asr.conftest import CALLER, Speech


async def test_recordings_are_transcribed_elsewhere(speech: Speech) -> None:
    request = speech_service_pb2.BatchRecognizeRequest(recording_ids=["00000000-0000-0000-0000-000000000007"])
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await speech.stub.BatchRecognize(request, metadata=CALLER.metadata())
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "batch server" in str(refused.value.details())
