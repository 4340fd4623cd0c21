"""How transcripts are created at metadata. One that was begun while another speech model wrote goes on under that one's
name: metadata takes no other.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from ai2text.metadata.v1 import transcript_pb2, transcript_service_pb2, transcript_service_pb2_grpc


async def created(
    metadata: transcript_service_pb2_grpc.TranscriptServiceStub,
    request: transcript_service_pb2.CreateTranscriptRequest,
    call: Callable[[Any, Any], Awaitable[Any]],
) -> transcript_pb2.Transcript:
    """Create a transcript, or find what an earlier call made of it. `call` makes one call of a method.

    Raises what `call` raises, as when the id is that of the transcript of something else.
    """
    try:
        answer = await call(metadata.CreateTranscript, request)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
            raise
        listing = transcript_service_pb2.ListTranscriptsRequest(recording_id=request.recording_id)
        there = (await call(metadata.ListTranscripts, listing)).transcripts
        begun = [one for one in there if one.transcript_id == request.transcript_id and one.channel == request.channel]
        if not begun or begun[0].model == request.model:
            raise
        again = transcript_service_pb2.CreateTranscriptRequest()
        again.CopyFrom(request)
        again.model = begun[0].model
        answer = await call(metadata.CreateTranscript, again)
    transcript: transcript_pb2.Transcript = answer.transcript
    return transcript
