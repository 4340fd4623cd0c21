"""SpeechService: translation between the contract and the domain, nothing else."""

import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc
import structlog
from ai2text.asr.v1 import speech_service_pb2 as pb
from ai2text.asr.v1 import speech_service_pb2_grpc as pb_grpc
from google.protobuf import duration_pb2
from opentelemetry import trace

from servers.asr import requests as incoming
from servers.asr import responses
from servers.asr.archive import Archive
from servers.asr.live import Sessions
from servers.common import identity, lifecycle

SCOPE = "speech"


class SpeechService(pb_grpc.SpeechServiceServicer):
    """See ai2text/asr/v1/speech_service.proto."""

    def __init__(self, sessions: Sessions, archive: Archive, model: str, languages: frozenset[str]) -> None:
        self._sessions = sessions
        self._archive = archive
        self._model = model
        self._languages = languages

    async def StreamingRecognize(
        self, requests: AsyncIterator[pb.StreamingRecognizeRequest], context: Any
    ) -> AsyncIterator[pb.StreamingRecognizeResponse]:
        asked = aiter(requests)
        config = await self._sessions.patiently(incoming.config(asked))
        caller = identity.require(context, SCOPE)  # now, not before: grpc.aio clients lose a status that meets a write
        async with self._sessions.place(config.language_code):
            decoder = incoming.decoder(config.format)
            writer = self._archive.writer(caller, config)
            yield responses.started(_named_session(), writer.recording_id, writer.transcript_id)
            inputs, partials = incoming.inputs(asked, config.format), not config.partials_disabled
            stream = self._sessions.stream(config.language_code, partials, decoder, inputs, writer.append)
            async with aclosing(stream) as events:
                async for event in events:
                    yield responses.event(event)

    async def Recognize(self, request: pb.RecognizeRequest, context: Any) -> pb.RecognizeResponse:
        identity.require(context, SCOPE)
        audio = incoming.whole_audio(request)
        decoder = incoming.decoder(request.format, incoming.MAX_AUDIO_S)
        async with self._sessions.place(request.language_code):
            finals, duration_ms = await self._sessions.recognize(request.language_code, decoder, audio)
        return pb.RecognizeResponse(results=[responses.final(final) for final in finals], duration_ms=duration_ms)

    async def GetCapabilities(self, request: pb.GetCapabilitiesRequest, context: Any) -> pb.GetCapabilitiesResponse:
        identity.require(context, SCOPE)
        return pb.GetCapabilitiesResponse(
            model=self._model,
            language_codes=sorted(self._languages),
            encodings=incoming.ENCODINGS,
            min_sample_rate_hz=incoming.MIN_SAMPLE_RATE,
            max_sample_rate_hz=incoming.MAX_SAMPLE_RATE,
            max_audio_bytes=incoming.MAX_AUDIO_BYTES,
            max_audio_duration=duration_pb2.Duration(seconds=incoming.MAX_AUDIO_S),
            max_chunk_bytes=incoming.MAX_CHUNK_BYTES,
        )


def _named_session() -> str:
    """A new session id, which from now on stands in the logs and on the span of this call."""
    session_id = str(uuid.uuid4())
    structlog.contextvars.bind_contextvars(session=session_id)
    trace.get_current_span().set_attribute("ai2text.session_id", session_id)
    return session_id


def mount(sessions: Sessions, archive: Archive, model: str, languages: frozenset[str]) -> lifecycle.Mount:
    """Adds the service to a server."""

    def add(server: grpc.aio.Server) -> str:
        pb_grpc.add_SpeechServiceServicer_to_server(SpeechService(sessions, archive, model, languages), server)
        return pb.DESCRIPTOR.services_by_name["SpeechService"].full_name

    return add
