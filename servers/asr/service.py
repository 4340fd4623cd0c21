"""SpeechService: translation between the contract and the domain, nothing else."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import grpc
from ai2text.asr.v1 import speech_service_pb2 as pb
from ai2text.asr.v1 import speech_service_pb2_grpc as pb_grpc
from google.longrunning import operations_pb2
from google.protobuf import duration_pb2

from servers.asr import requests as incoming
from servers.asr import responses
from servers.asr.conversation import Conversations
from servers.asr.live import Sessions
from servers.asr.session import SessionRules
from servers.common import identity, lifecycle
from servers.common.bounds import MAX_CHANNELS

SCOPE = "speech"


@dataclass(frozen=True)
class Capabilities:
    """What a server says of itself."""

    model: str
    languages: frozenset[str]
    version: str


class SpeechService(pb_grpc.SpeechServiceServicer):
    """See ai2text/asr/v1/speech_service.proto."""

    def __init__(
        self, sessions: Sessions, conversations: Conversations, defaults: SessionRules, capabilities: Capabilities
    ) -> None:
        self._sessions = sessions
        self._conversations = conversations
        self._defaults = defaults
        self._capabilities = capabilities

    async def StreamingRecognize(
        self, requests: AsyncIterator[pb.StreamingRecognizeRequest], context: Any
    ) -> AsyncIterator[pb.StreamingRecognizeResponse]:
        asked = aiter(requests)
        first = await self._sessions.patiently(incoming.first(asked))
        caller = identity.require(context, SCOPE)  # now, not before: grpc.aio clients lose a status that meets a write
        async with self._conversations.open(caller, first, asked) as conversation:
            yield pb.StreamingRecognizeResponse(cursors=conversation.cursors, session_started=conversation.started)
            async with aclosing(conversation.responses()) as told:
                async for response in told:
                    yield response

    async def Recognize(self, request: pb.RecognizeRequest, context: Any) -> pb.RecognizeResponse:
        identity.require(context, SCOPE)
        decoder = incoming.decoder(request.format, incoming.MAX_AUDIO_S)
        audio = incoming.whole_audio(request)
        config = pb.StreamingConfig(
            format=request.format,
            language_code=request.language_code,
            partials_disabled=True,
            refinements_disabled=True,
        )
        rules = incoming.rules(config, self._defaults)
        self._sessions.check_languages(incoming.languages(config))
        finals, duration_ms = await self._sessions.recognize(rules, decoder, audio)
        return pb.RecognizeResponse(results=[responses.final(final) for final in finals], duration_ms=duration_ms)

    async def BatchRecognize(self, request: pb.BatchRecognizeRequest, context: Any) -> operations_pb2.Operation:
        await context.abort(
            grpc.StatusCode.UNIMPLEMENTED, "recordings are transcribed by the batch server: call the edge"
        )

    async def GetCapabilities(self, request: pb.GetCapabilitiesRequest, context: Any) -> pb.GetCapabilitiesResponse:
        identity.require(context, SCOPE)
        return pb.GetCapabilitiesResponse(
            model=self._capabilities.model,
            language_codes=sorted(self._capabilities.languages),
            encodings=incoming.ENCODINGS,
            min_sample_rate_hz=incoming.MIN_SAMPLE_RATE,
            max_sample_rate_hz=incoming.MAX_SAMPLE_RATE,
            max_audio_bytes=incoming.MAX_AUDIO_BYTES,
            max_audio_duration=duration_pb2.Duration(seconds=incoming.MAX_AUDIO_S),
            max_chunk_bytes=incoming.MAX_CHUNK_BYTES,
            max_channels=MAX_CHANNELS,
            endpointing=responses.endpointing(self._defaults.endpoint),
            server_version=self._capabilities.version,
        )


def mount(
    sessions: Sessions, conversations: Conversations, defaults: SessionRules, capabilities: Capabilities
) -> lifecycle.Mount:
    """Adds the service to a server."""

    def add(server: grpc.aio.Server) -> str:
        servicer = SpeechService(sessions, conversations, defaults, capabilities)
        pb_grpc.add_SpeechServiceServicer_to_server(servicer, server)
        return pb.DESCRIPTOR.services_by_name["SpeechService"].full_name

    return add
