"""One client's end of a session: from the first message of the contract to what it tells."""

import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from ai2text.asr.v1 import audio_pb2, result_pb2, session_pb2, speech_service_pb2
from opentelemetry import trace

from servers.asr import audio, requests, responses
from servers.asr.archive import Archive, default_title
from servers.asr.audio import Decoder
from servers.asr.keeping import hashed, new_token
from servers.asr.live import LiveSession, Opening, Sessions
from servers.asr.session import SessionRules
from servers.asr.tickets import Ticket
from servers.common.identity import Caller


@dataclass(frozen=True)
class Conversation:
    """A session that has been opened."""

    started: speech_service_pb2.SessionStarted
    """To be told to the client first."""
    live: LiveSession
    format: audio_pb2.AudioFormat
    """Of its audio."""

    @property
    def cursors(self) -> result_pb2.Cursors:
        """How far the session has come."""
        return responses.cursors(self.live.cursors)

    @property
    def credit_ms(self) -> int:
        """How much more audio is taken before the client is held back."""
        return self.live.credit_ms

    @property
    def failure(self) -> BaseException | None:
        """What it has failed with, whether `responses()` was read so far or not."""
        return self.live.failure

    async def responses(self) -> AsyncGenerator[speech_service_pb2.StreamingRecognizeResponse]:
        """What happens, after `started`. Ends after the last final; raises an Ai2TextError when the session fails."""
        async for event in self.live.events():
            yield responses.event(event)


class Conversations:
    """Opens sessions as the contract asks for them."""

    def __init__(self, sessions: Sessions, archive: Archive, defaults: SessionRules, version: str) -> None:
        """`defaults`: what a session that asks for nothing gets; `version`: what this server calls itself."""
        self._sessions = sessions
        self._archive = archive
        self._defaults = defaults
        self._version = version

    @asynccontextmanager
    async def open(
        self,
        caller: Caller,
        first: speech_service_pb2.StreamingConfig | session_pb2.Resume,
        payloads: AsyncIterator[Any],
    ) -> AsyncIterator[Conversation]:
        """A new session, or one to go on with; `payloads` are messages with the oneof `payload` of audio and its kin.

        Who leaves before `responses()` has ended leaves a session that can be resumed. Raises Ai2TextError.
        """
        if isinstance(first, session_pb2.Resume):
            opening, started, config = await self._resumed(caller, first)
        else:
            opening, started, config = self._begun(caller, first)
        structlog.contextvars.bind_contextvars(session=started.session_id)
        trace.get_current_span().set_attribute("ai2text.session_id", started.session_id)
        async with self._sessions.open(opening, requests.inputs(payloads, config.format)) as live:
            yield Conversation(started, live, config.format)

    def _begun(
        self, caller: Caller, config: speech_service_pb2.StreamingConfig
    ) -> tuple[Opening, speech_service_pb2.SessionStarted, speech_service_pb2.StreamingConfig]:
        rules, decoder = self._terms(config)
        config.title = config.title.strip() or default_title()  # now, so that it stays the same when it is resumed
        session_id, token = str(uuid.uuid4()), new_token()
        writer = self._archive.writer(caller, config, rules.channels)
        ticket = Ticket(
            session_id, caller.tenant, caller.subject, hashed(token), config.SerializeToString(), writer.recording_id,
            writer.transcript_ids, settled=(0,) * rules.channels,
        )  # fmt: skip
        return Opening(rules, decoder, ticket, writer.append), self._started(ticket, token, 0), config

    async def _resumed(
        self, caller: Caller, resume: session_pb2.Resume
    ) -> tuple[Opening, speech_service_pb2.SessionStarted, speech_service_pb2.StreamingConfig]:
        requests.check_resume(resume)
        claimed = await self._sessions.claim(
            resume.session_id, caller.tenant, caller.subject, resume.resume_token, resume.next_final_index,
            lambda ticket: self._terms(_config(ticket)),
        )  # fmt: skip
        ticket, config = claimed.ticket, _config(claimed.ticket)
        rules, decoder = self._terms(config)
        writer = self._archive.writer(caller, config, rules.channels, ticket.recording_id, ticket.transcript_ids)
        for final in claimed.finals:
            writer.append(final)  # the server that made it may have died before it was stored
        wanted = tuple(final for final in claimed.finals if final.final_index >= resume.next_final_index)
        opening = Opening(rules, decoder, ticket, writer.append, wanted)
        replay_from = 0 if decoder.begins_anew else audio.milliseconds(opening.progress.replay_from)
        return opening, self._started(ticket, resume.resume_token, replay_from), config

    def _terms(self, config: speech_service_pb2.StreamingConfig) -> tuple[SessionRules, Decoder]:
        """What a config asks of a session. Raises Ai2TextError when it cannot be had here."""
        rules = requests.rules(config, self._defaults)
        self._sessions.check_languages(requests.languages(config))
        return rules, requests.decoder(config.format)

    def _started(self, ticket: Ticket, token: str, replay_from_ms: int) -> speech_service_pb2.SessionStarted:
        return speech_service_pb2.SessionStarted(
            session_id=ticket.session_id,
            recording_id=ticket.recording_id,
            transcript_id=next(iter(ticket.transcript_ids), ""),
            resume_token=token,
            replay_from_ms=replay_from_ms,
            transcript_ids=ticket.transcript_ids,
            server_version=self._version,
        )


def _config(ticket: Ticket) -> speech_service_pb2.StreamingConfig:
    """How the session of a ticket is to be transcribed."""
    return speech_service_pb2.StreamingConfig.FromString(ticket.config)
