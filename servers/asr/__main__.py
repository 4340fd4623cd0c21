"""Compose and run the speech server: settings in, objects wired, server out."""

from contextlib import AsyncExitStack

import uvloop

from servers.asr import live_session_service, service, ticket_store, vad
from servers.asr.archive import Archive
from servers.asr.conversation import Conversations
from servers.asr.live import Limits, Sessions
from servers.asr.load import Load, LoadLimits
from servers.asr.pushing import PushedSessions, PushLimits
from servers.asr.refiner import RemoteRefiner
from servers.asr.scheduling import Lanes, Scheduler
from servers.asr.session import SessionRules
from servers.asr.settings import Settings
from servers.asr.whisper import LANGUAGES, TritonWhisper
from servers.common import channel, lifecycle, telemetry


async def main(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        stack.enter_context(telemetry.started("asr", settings))
        triton = await stack.enter_async_context(channel.connect(settings.triton))
        metadata = await stack.enter_async_context(channel.connect(settings.metadata))
        nlp = await stack.enter_async_context(channel.connect(settings.nlp))
        tickets = await stack.enter_async_context(ticket_store.connect(settings.valkey_url, settings.ticket_s))
        whisper = TritonWhisper(triton, settings.final_beam, settings.refinement_beam, settings.inference_timeout_s)
        busy = LoadLimits(settings.model_instances, settings.max_busy, settings.max_wait_s, settings.session_busy)
        load = Load(busy)
        lanes = Lanes.of(settings.model_instances, settings.in_flight)
        scheduler = Scheduler(whisper, lanes, load, settings.retry_s)
        refiner = RemoteRefiner(nlp, settings.refine_timeout_s)
        archive = Archive(metadata, settings.model_name, refiner, settings.max_unsaved)
        stack.push_async_callback(archive.close)
        model = vad.load()
        limits = Limits(max_sessions=settings.max_sessions, idle_s=settings.idle_s, parked_s=settings.parked_s)
        sessions = Sessions(scheduler, lambda: vad.SileroDetector(model), LANGUAGES, tickets, refiner, limits)
        stack.push_async_callback(sessions.close)
        defaults = SessionRules(partial_every_ms=settings.partial_every_ms)
        conversations = Conversations(sessions, archive, defaults, settings.version)
        pushed = PushedSessions(conversations, PushLimits(idle_s=settings.idle_s))
        stack.push_async_callback(pushed.close)
        capabilities = service.Capabilities(settings.model_name, LANGUAGES, settings.version)
        mounts = [
            service.mount(sessions, conversations, defaults, capabilities),
            live_session_service.mount(pushed),
        ]
        await lifecycle.run(
            settings, mounts, {"triton": whisper.check}, drain=lambda: sessions.drain(settings.closing_s)
        )


if __name__ == "__main__":
    uvloop.run(main(Settings()))
