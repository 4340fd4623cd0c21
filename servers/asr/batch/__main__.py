"""Compose and run the batch server: events and calls in, transcripts out."""

from contextlib import AsyncExitStack

import uvloop

from servers.asr import vad
from servers.asr.batch import announcement, consumers, service
from servers.asr.batch.arrivals import Arrivals
from servers.asr.batch.backlog import BusBacklog
from servers.asr.batch.hearing import Hearing
from servers.asr.batch.library import RemoteLibrary
from servers.asr.batch.media import StoredMedia
from servers.asr.batch.operations import Operations
from servers.asr.batch.reminders import Reminders
from servers.asr.batch.settings import Settings
from servers.asr.batch.store import PostgresOperations
from servers.asr.batch.transcription import Tools, Transcriber
from servers.asr.batch.whisper import BatchWhisper
from servers.asr.refiner import RemoteRefiner
from servers.asr.whisper import LANGUAGES
from servers.common import channel, events, lifecycle, objects, postgres, telemetry

MOST_BYTES = 1024 * 1024
"""Of one message: audio comes from the object store; the names of a thousand recordings have 40 kB."""


async def main(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        stack.enter_context(telemetry.started("batch", settings))
        triton = await stack.enter_async_context(channel.connect(settings.triton))
        metadata = await stack.enter_async_context(channel.connect(settings.metadata))
        nlp = await stack.enter_async_context(channel.connect(settings.nlp))
        bus = await stack.enter_async_context(events.connected(settings.nats_url))
        database = await stack.enter_async_context(postgres.connected(settings.postgres_dsn))
        address = objects.StoreAddress(
            settings.s3_endpoint, settings.s3_bucket, settings.s3_access_key, settings.s3_secret_key
        )
        files = await stack.enter_async_context(objects.connected(address))
        whisper = BatchWhisper(triton, settings.beam, settings.chunks_at_once, settings.inference_timeout_s)
        store = PostgresOperations(database)
        library = RemoteLibrary(metadata, settings.model_name)
        hearing = Hearing(whisper, RemoteRefiner(nlp, settings.refine_timeout_s))
        media = StoredMedia(files, settings.scratch_dir)
        model = vad.load()
        tools = Tools(store, library, media, hearing, lambda: vad.SileroDetector(model), settings.chunks_a_round)
        transcriber = Transcriber(tools, LANGUAGES, settings.file_tries, settings.file_timeout_s)
        arrivals = Arrivals(store, transcriber.transcribe)
        operations = Operations(store, announcement.requested, library.check, LANGUAGES)
        jobs = consumers.jobs(bus, arrivals, settings.files_at_once, settings.file_timeout_s)
        reminders = Reminders(store, BusBacklog(bus), announcement.named, announcement.requested)
        await lifecycle.run(
            settings,
            mounts=[service.speech(operations), service.long_running(operations)],
            needs={"postgres": store.check, "nats": bus.check},
            jobs=jobs | {"reminders": reminders.run},
            drain=lambda: transcriber.drain(settings.round_drain_s),
            most_bytes=MOST_BYTES,
        )


if __name__ == "__main__":
    uvloop.run(main(Settings()))
