"""Files that cannot be transcribed, through a real JetStream to their dead letters: after which tries, and why."""

import uuid

from ai2text.events.v1.recording_events_pb2 import RecordingUploaded

from servers.admin.dead_letters import DeadLetter, DeadLetters, Filters
from servers.admin.graveyard import DeadLetterStream
from servers.asr.batch import consumers
from servers.asr.batch.arrivals import Arrivals
from servers.asr.batch.hearing import Hearing
from servers.asr.batch.operations import of_upload
from servers.asr.batch.progress import File, FileState, Job
from servers.asr.batch.transcription import Tools, Transcriber
from servers.common import events, streams
from servers.common.errors import AudioUndecodable
from servers.common.events import Bus
from tests.fakes.batch import Loudness, Shelf, Silent, Sounds, speech
from tests.fakes.detectors import LevelDetector
from tests.fakes.operation_store import MemoryOperations
from tests.stores.test_search_consumers import eventually, job

TRIES = 3
RECORDING = str(uuid.UUID(int=7))
JOB = Job("acme", "lan", of_upload(RECORDING), RECORDING)


async def given_up(bus: Bus, media: Sounds, limit_s: float) -> tuple[DeadLetter, File]:
    """The letter of a file that the batch server's own consumer of uploads gives up, and what the ledger says of it."""
    ledger = MemoryOperations()
    tools = Tools(ledger, Shelf(), media, Hearing(Loudness(), Silent()), LevelDetector, 3)
    arrivals = Arrivals(ledger, Transcriber(tools, frozenset({"vi"}), TRIES, limit_s).transcribe)
    letters = DeadLetters(DeadLetterStream(bus))

    async def buried() -> list[DeadLetter]:
        return list((await letters.page(Filters(), 10, "")).letters)

    event = RecordingUploaded(event_id="e1", tenant="acme", subject="lan", recording_id=RECORDING)
    async with job(consumers.jobs(bus, arrivals, 1, limit_s)["uploads"]):
        await events.publish(bus, streams.RECORDING_UPLOADED, "e1", event.SerializeToString())
        (letter,) = await eventually(buried)
    file = ledger.file(JOB)
    assert file is not None
    return letter, file


async def test_a_file_whose_time_is_always_over_is_given_up_after_the_tries_that_are_set(bus: Bus) -> None:
    letter, file = await given_up(bus, Sounds(speech((0.5, 6.0), (0.0, 4.0))), limit_s=0.0)
    assert (letter.consumer, letter.subject, letter.tries) == ("batch", streams.RECORDING_UPLOADED, TRIES)
    assert letter.reason == "InvalidInput: gave up after 3 tries: TooSlow: the file took longer than 0 s"
    assert (file.state, file.tries) == (FileState.FAILED, TRIES)
    assert file.failure is not None
    assert file.failure.message == "gave up after 3 tries: the file took longer than 0 s"


async def test_a_file_that_is_no_audio_is_given_up_at_the_first_try(bus: Bus) -> None:
    letter, file = await given_up(bus, Sounds(speech((0.5, 6.0)), failure=AudioUndecodable("no audio")), limit_s=60.0)
    assert (letter.consumer, letter.tries) == ("batch", 1)
    assert letter.reason == "InvalidInput: AUDIO_UNDECODABLE: no audio"
    assert (file.state, file.tries) == (FileState.FAILED, 1)
