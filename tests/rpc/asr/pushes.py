"""The calls of one pushed session."""

from typing import Any

from ai2text.asr.v1 import live_session_service_pb2 as pb
from ai2text.asr.v1 import speech_service_pb2

from tests.rpc.asr.conftest import CALLER, LINEAR16, Speech, is_final

METADATA = CALLER.metadata()

Started = speech_service_pb2.SessionStarted


async def opened(speech: Speech) -> Started:
    request = pb.OpenSessionRequest(config=speech_service_pb2.StreamingConfig(format=LINEAR16))
    return (await speech.pushing.OpenSession(request, metadata=METADATA)).session


def names(session: Started) -> dict[str, str]:
    return {"session_id": session.session_id, "resume_token": session.resume_token}


def push(speech: Speech, session: Started, sequence: int, **payload: Any) -> Any:
    request = pb.PushAudioRequest(sequence=sequence, **names(session), **payload)
    return speech.pushing.PushAudio(request, metadata=METADATA, timeout=20)


def watch(speech: Speech, session: Started, next_final_index: int = 0) -> Any:
    request = pb.WatchSessionRequest(next_final_index=next_final_index, **names(session))
    return speech.pushing.WatchSession(request, metadata=METADATA, timeout=60)


def close(speech: Speech, session: Started) -> Any:
    request = pb.CloseSessionRequest(**names(session))
    return speech.pushing.CloseSession(request, metadata=METADATA, timeout=20)


async def finals(watching: Any, count: int) -> list[str]:
    """The texts of the next so many finals."""
    texts: list[str] = []
    while len(texts) < count:
        told = (await watching.read()).event
        texts += [told.final.text] if is_final(told) else []
    return texts
