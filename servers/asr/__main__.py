"""Compose and run the speech server: settings in, objects wired, server out."""

import asyncio
from contextlib import AsyncExitStack

from servers.asr import service, vad
from servers.asr.archive import Archive
from servers.asr.endpointing import EndpointRules
from servers.asr.live import Limits, Sessions
from servers.asr.scheduling import Scheduler
from servers.asr.session import SessionRules
from servers.asr.settings import Settings
from servers.asr.whisper import LANGUAGES, TritonWhisper
from servers.common import channel, lifecycle, telemetry


async def main(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        stack.enter_context(telemetry.started("asr", settings))
        triton = await stack.enter_async_context(channel.connect(settings.triton))
        metadata = await stack.enter_async_context(channel.connect(settings.metadata))
        whisper = TritonWhisper(triton, settings.final_beam, settings.inference_timeout_s)
        scheduler = Scheduler(whisper, settings.in_flight, settings.max_waiting, settings.retry_s)
        archive = Archive(metadata, settings.model_name, settings.max_unsaved)
        stack.push_async_callback(archive.close)
        model = vad.load()
        sessions = Sessions(
            scheduler,
            lambda: vad.SileroDetector(model),
            LANGUAGES,
            SessionRules(
                partial_every_ms=settings.partial_every_ms,
                endpoint=EndpointRules(silence_ms=settings.endpoint_silence_ms),
            ),
            Limits(max_sessions=settings.max_sessions, idle_s=settings.idle_s),
        )
        stack.push_async_callback(sessions.close)
        mount = service.mount(sessions, archive, settings.model_name, LANGUAGES)
        await lifecycle.run(settings, [mount], needs={"triton": whisper.check})


if __name__ == "__main__":
    asyncio.run(main(Settings()))
