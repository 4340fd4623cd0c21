"""From a file to its segments: rounds, doubts, resumption, failures, cancellation, drain."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from servers.asr.audio import SAMPLE_RATE, Samples
from servers.asr.batch.hearing import Hearing, Refiner, Segment
from servers.asr.batch.operations import NewOperation, of_upload, transcript_of
from servers.asr.batch.progress import File, FileState, Job, Progress, TakenOver
from servers.asr.batch.rounds import Round, rounds
from servers.asr.batch.transcription import Recording, Tools, TooSlow, Transcriber
from servers.asr.recognition import Hypothesis, Recognizer, Request, Word
from servers.common.errors import (
    AudioUndecodable,
    DependencyUnavailable,
    Draining,
    InvalidInput,
    RecordingNotFound,
    RecordingWithoutFile,
)
from tests.fakes.batch import Loudness, Shelf, Shouting, Silent, Sounds, pieces, speech
from tests.fakes.detectors import LevelDetector
from tests.fakes.operation_store import MemoryOperations
from tests.fakes.recognizers import come_true, heard

RECORDING = str(uuid.UUID(int=7))
JOB = Job("acme", "lan", of_upload(RECORDING), RECORDING)
TRIES = 10
LONG = speech(*[(0.5, 6.0), (0.0, 4.0)] * 10)
"""Ten chunks of speech, 100 s."""


def made(recognizer: Recognizer, refiner: Refiner | None = None) -> Hearing:
    return Hearing(recognizer, refiner or Silent())


async def all_rounds(sound: Samples, start: int = 0, chunks: int = 3, piece: int = 10_000) -> list[Round]:
    return [found async for found in rounds(pieces(sound, piece), LevelDetector, start, chunks)]


def shape(found: list[Round]) -> list[tuple[list[tuple[int, int]], int]]:
    return [([(chunk.start, len(chunk.audio)) for chunk in each.chunks], each.end) for each in found]


async def test_rounds_hold_so_many_chunks_and_reach_to_the_end() -> None:
    found = await all_rounds(LONG)
    assert [len(each.chunks) for each in found] == [3, 3, 3, 1]
    assert found[-1].end == len(LONG)
    for each in found:
        for chunk in each.chunks:
            np.testing.assert_array_equal(chunk.audio, LONG[chunk.start : chunk.start + len(chunk.audio)])


async def test_rounds_do_not_depend_on_the_pieces_in_which_the_audio_comes() -> None:
    expected = shape(await all_rounds(LONG))
    for piece in (1, 7, 999_999_999):
        assert shape(await all_rounds(LONG[: 30 * SAMPLE_RATE], piece=max(piece, 511))) == shape(
            await all_rounds(LONG[: 30 * SAMPLE_RATE])
        )
    assert shape(await all_rounds(LONG, piece=123_457)) == expected


async def test_from_the_end_of_any_round_the_others_follow_as_before() -> None:
    expected = shape(await all_rounds(LONG))
    for place, (_, end) in enumerate(expected[:-1]):
        assert end % 16 == 0  # a whole number of milliseconds
        assert shape(await all_rounds(LONG, start=end, piece=34_567)) == expected[place + 1 :]


async def test_long_silence_ends_a_round() -> None:
    sound = speech((0.0, 700.0), (0.5, 3.0), (0.0, 400.0))
    found = await all_rounds(sound, piece=30 * SAMPLE_RATE)
    assert [len(each.chunks) for each in found] == [0, 1, 0]
    assert found[0].end // SAMPLE_RATE in range(300, 400)
    assert found[-1].end == len(sound)


async def test_nothing_has_one_round_without_chunks() -> None:
    assert shape(await all_rounds(np.zeros(0, np.float32))) == [([], 0)]


async def segments_of(
    recognizer: Recognizer, sound: Samples, language: str = "vi", refiner: Refiner | None = None
) -> list[Segment]:
    (found,) = await all_rounds(sound, chunks=50)
    return await made(recognizer, refiner).hear(found, language, 5)


async def test_segments_are_numbered_and_placed_in_the_file() -> None:
    found = await segments_of(Loudness(), speech((0.0, 4.0), (0.5, 2.0), (0.0, 4.0), (0.4, 2.0), (0.0, 4.0)))
    assert [segment.index for segment in found] == [5, 6]
    assert [segment.text.split()[-1] for segment in found] == ["50.", "40."]
    assert found[0].start_ms in range(3600, 4000)
    assert found[0].end_ms in range(6000, 6500)
    assert (found[0].language, found[0].confidence, found[0].raw_text) == ("vi", 0.5, "")


async def test_a_refined_text_keeps_what_was_heard() -> None:
    (found,) = await segments_of(Loudness(), speech((0.5, 2.0), (0.0, 4.0)), refiner=Shouting())
    assert found.text == found.raw_text.upper()
    assert found.raw_text.startswith("Dài ")
    assert [word.text for word in found.words] == found.raw_text.split()


async def test_what_is_no_speech_is_left_out() -> None:
    invented = replace(heard("Cảm ơn các bạn đã xem video."), no_speech_probability=0.9)
    assert await segments_of(Loudness(answers={0: invented}), speech((0.5, 9.0), (0.0, 4.0))) == []


async def test_an_invented_sentence_amidst_others_is_left_out() -> None:
    both = heard("Hôm nay trời rất đẹp. Hãy subscribe cho kênh Ghiền Mì Gõ. Chúng ta đi chơi nhé.", word_s=0.4)
    found = await segments_of(Loudness(answers={0: both}), speech((0.5, 9.0), (0.0, 4.0)))
    assert [segment.text for segment in found] == ["Hôm nay trời rất đẹp.", "Chúng ta đi chơi nhé."]
    assert [segment.index for segment in found] == [5, 6]


async def test_what_is_written_twice_and_was_said_once_is_left_out() -> None:
    said = heard("Người đó là ai mà đọc thơ hay thế.", word_s=0.4)
    again = tuple(Word(word.text, 3.6 + n * 0.02, 3.6 + (n + 1) * 0.02, 0.2) for n, word in enumerate(said.words))
    both = replace(said, text=f"{said.text} {said.text}", words=(*said.words, *again))
    found = await segments_of(Loudness(answers={0: both}), speech((0.5, 4.0), (0.0, 4.0)))
    assert [segment.text for segment in found] == [said.text]


async def test_a_long_chunk_that_is_not_believed_is_heard_in_halves() -> None:
    loop = replace(heard("a b c"), compression_ratio=9.0)
    sound = speech((0.5, 7.0), (0.3, 0.1), (0.5, 7.0), (0.0, 4.0))
    recognizer = Loudness(answers={0: loop})
    found = await segments_of(recognizer, sound)
    assert len(recognizer.asked) == 3
    whole, first, second = (len(request.audio) for request in recognizer.asked)
    assert first + second == whole
    assert abs(first / SAMPLE_RATE - 7.05) < 0.1
    assert len(found) == 2
    assert found[1].start_ms > found[0].start_ms


async def test_what_is_never_believed_ends() -> None:
    def answer(_: int) -> Hypothesis:
        return replace(heard("a b c"), compression_ratio=9.0)

    recognizer = Loudness(answers={number: answer(number) for number in range(50)})
    assert await segments_of(recognizer, speech((0.5, 25.0), (0.0, 4.0))) == []
    assert len(recognizer.asked) < 10


async def test_a_model_that_is_away_is_told_of() -> None:
    def away(number: int) -> None:
        raise DependencyUnavailable("triton")

    with pytest.raises(DependencyUnavailable):
        await segments_of(Loudness(before=away), LONG)


@dataclass
class World:
    """Everything around a transcription."""

    recognizer: Loudness = field(default_factory=Loudness)
    ledger: MemoryOperations = field(default_factory=MemoryOperations)
    shelf: Shelf = field(default_factory=Shelf)
    media: Sounds = field(default_factory=lambda: Sounds(LONG))
    limit_s: float = 60.0

    def transcriber(self) -> Transcriber:
        """A fresh one, as after a restart."""
        hearing = Hearing(self.recognizer, Silent())
        tools = Tools(self.ledger, self.shelf, self.media, hearing, LevelDetector, chunks=3)
        return Transcriber(tools, frozenset({"vi", "en"}), TRIES, self.limit_s)

    async def add(self, language: str = "") -> None:
        await self.ledger.add("acme", NewOperation(JOB.operation_id, "lan", language, [RECORDING]), [])

    @property
    def file(self) -> File:
        file = self.ledger.file(JOB)
        assert file is not None
        return file


@pytest.fixture
async def world() -> World:
    world = World()
    await world.add()
    return world


async def test_a_file_becomes_a_transcript(world: World) -> None:
    await world.transcriber().transcribe(JOB)
    assert world.file.state is FileState.SUCCEEDED
    assert world.file.progress.transcript_id == transcript_of(JOB.operation_id, RECORDING)
    assert (world.file.progress.segment_count, world.file.progress.done_ms) == (10, 100_000)
    assert world.file.progress.duration_ms == 100_000
    assert world.shelf.transcripts == [world.file.progress.transcript_id]
    assert list(world.shelf.segments) == list(range(10))
    assert world.shelf.appended == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    assert (world.media.opened_, world.media.closed) == (1, 1)


@pytest.mark.parametrize(
    ("asked", "recorded", "expected"), [("en", "vi", "en"), ("", "vi", "vi"), ("", "", ""), ("", "tlh", "")]
)
async def test_the_language_is_what_was_asked_else_what_the_recording_says_else_detected(
    asked: str, recorded: str, expected: str
) -> None:
    world = World(shelf=Shelf(Recording("k", recorded, 0)))
    await world.add(asked)
    await world.transcriber().transcribe(JOB)
    assert {request.language for request in world.recognizer.asked} == {expected}


async def test_silence_succeeds_with_a_transcript_without_segments(world: World) -> None:
    world.media.sound = speech((0.0, 20.0))
    await world.transcriber().transcribe(JOB)
    assert (world.file.state, world.file.percent) == (FileState.SUCCEEDED, 100)
    assert len(world.shelf.transcripts) == 1
    assert world.shelf.segments == {}


async def test_a_transcript_is_complete_when_its_file_is_done_and_not_before(world: World) -> None:
    def broken(number: int) -> None:
        if number == 4:
            raise AudioUndecodable("no more audio")

    world.recognizer.before = broken
    with pytest.raises(InvalidInput):
        await world.transcriber().transcribe(JOB)
    assert (len(world.shelf.segments), world.shelf.complete) == (3, [])
    await world.transcriber().transcribe(JOB)
    assert world.shelf.complete == [transcript_of(JOB.operation_id, RECORDING)]


async def test_what_is_done_is_not_done_again(world: World) -> None:
    await world.transcriber().transcribe(JOB)
    count = len(world.recognizer.asked)
    await world.transcriber().transcribe(JOB)
    assert len(world.recognizer.asked) == count
    await world.transcriber().transcribe(replace(JOB, operation_id=str(uuid.uuid4())))  # was deleted meanwhile
    assert len(world.recognizer.asked) == count


async def died(world: World, at_request: int) -> None:
    """A server that dies when it asks the model for the chunk of that number."""

    def die(number: int) -> None:
        if number >= at_request:
            raise asyncio.CancelledError

    world.recognizer = Loudness(before=die)
    with pytest.raises(asyncio.CancelledError):
        await world.transcriber().transcribe(JOB)


@pytest.mark.parametrize("at_request", range(10))
async def test_after_a_death_the_segments_are_those_without_one(at_request: int) -> None:
    whole = World()
    await whole.add()
    await whole.transcriber().transcribe(JOB)
    world = World()
    await world.add()
    await died(world, at_request)
    world.recognizer = Loudness()
    await world.transcriber().transcribe(JOB)
    assert world.shelf.segments == whole.shelf.segments
    assert world.file.state is FileState.SUCCEEDED
    assert world.file.tries == 1  # a server that is told to stop is no failure
    assert len(world.recognizer.asked) == 10 - at_request // 3 * 3


async def test_what_was_stored_but_not_noted_is_noted_and_not_heard_again(world: World) -> None:
    undisturbed = World()
    await undisturbed.add()
    await undisturbed.transcriber().transcribe(JOB)

    class Forgetful(MemoryOperations):
        """Is away when the second round is to be noted."""

        rounds = 0

        async def advance(self, job: Job, progress: Progress) -> bool:
            self.rounds += 1
            if self.rounds == 2:
                raise DependencyUnavailable("postgres")
            return await super().advance(job, progress)

    world = World(ledger=Forgetful())
    await world.add()
    with pytest.raises(DependencyUnavailable):
        await world.transcriber().transcribe(JOB)
    assert (world.file.progress.segment_count, len(world.shelf.segments)) == (3, 6)
    await world.transcriber().transcribe(JOB)
    assert world.shelf.segments == undisturbed.shelf.segments
    assert world.shelf.appended == undisturbed.shelf.appended
    assert len(world.recognizer.asked) == len(undisturbed.recognizer.asked)
    assert world.file.state is FileState.SUCCEEDED


async def test_who_was_taken_over_stores_nothing_more_and_says_nothing(world: World) -> None:
    def take_over(count: int) -> None:
        if count == 4:
            world.ledger._put(JOB, replace(world.file, attempt=world.file.attempt + 1))

    world.recognizer.before = take_over
    with pytest.raises(TakenOver):
        await world.transcriber().transcribe(JOB)
    assert world.shelf.appended == [[0, 1, 2]]
    assert (world.file.state, world.file.tries) == (FileState.RUNNING, 1)


@pytest.mark.parametrize(
    ("where", "failure", "reason"),
    [
        ("media", AudioUndecodable("no audio"), "AUDIO_UNDECODABLE"),
        ("media", RecordingWithoutFile("no longer in the store"), "RECORDING_WITHOUT_FILE"),
        ("shelf", RecordingWithoutFile("no file"), "RECORDING_WITHOUT_FILE"),
        ("shelf", RecordingNotFound("gone"), "RECORDING_NOT_FOUND"),
    ],
)
async def test_what_can_never_be_transcribed_fails_and_its_event_is_poison(
    world: World, where: str, failure: Exception, reason: str
) -> None:
    if where == "media":
        world.media.failure = failure
    else:
        world.shelf.failures = [failure]
    with pytest.raises(InvalidInput, match=reason):
        await world.transcriber().transcribe(JOB)
    assert world.file.state is FileState.FAILED
    assert world.file.failure is not None
    assert (world.file.failure.reason, world.file.failure.message) == (reason, str(failure))


class Vanishing(Sounds):
    """Files that go with their recording, which is deleted just when one of them is wanted."""

    def opened(self, object_key: str) -> AbstractAsyncContextManager[AsyncIterator[Samples]]:
        self.shelf.deleted = True
        raise RecordingWithoutFile("no longer in the store")

    shelf: Shelf


@pytest.mark.parametrize("when", ["before", "in the midst", "when its file is wanted"])
async def test_a_file_whose_recording_was_deleted_fails_and_its_event_is_no_poison(world: World, when: str) -> None:
    def delete(count: int) -> None:
        world.shelf.deleted = world.shelf.deleted or count == 4

    if when == "before":
        world.shelf.deleted = True
    elif when == "in the midst":
        world.recognizer.before = delete
    else:
        world.media = Vanishing(LONG)
        world.media.shelf = world.shelf
    await world.transcriber().transcribe(JOB)
    assert world.file.state is FileState.FAILED
    assert world.file.failure is not None
    assert world.file.failure.reason == "RECORDING_NOT_FOUND"


async def test_a_failed_file_is_transcribed_when_its_event_is_replayed(world: World) -> None:
    world.media.failure = AudioUndecodable("no audio")
    with pytest.raises(InvalidInput):
        await world.transcriber().transcribe(JOB)
    world.media.failure = None
    await world.transcriber().transcribe(JOB)
    assert (world.file.state, world.file.failure, world.file.tries) == (FileState.SUCCEEDED, None, 1)


async def test_what_is_away_is_waited_for_and_counts_as_no_try(world: World) -> None:
    world.shelf.failures = [DependencyUnavailable("metadata")] * (TRIES + 1)
    for _ in range(TRIES + 1):
        with pytest.raises(DependencyUnavailable):
            await world.transcriber().transcribe(JOB)
        assert (world.file.state, world.file.tries) == (FileState.QUEUED, 0)
    await world.transcriber().transcribe(JOB)
    assert (world.file.state, world.file.tries) == (FileState.SUCCEEDED, 1)


async def test_any_other_error_is_tried_again_ten_times(world: World) -> None:
    world.shelf.failures = [RuntimeError("a secret")] * TRIES
    for tries in range(1, TRIES):
        with pytest.raises(RuntimeError):
            await world.transcriber().transcribe(JOB)
        assert (world.file.state, world.file.tries) == (FileState.QUEUED, tries)
    with pytest.raises(InvalidInput, match="gave up after 10 tries: RuntimeError"):
        await world.transcriber().transcribe(JOB)
    assert world.file.state is FileState.FAILED
    assert world.file.failure is not None
    assert world.file.failure.reason == "INTERNAL"
    assert "secret" not in world.file.failure.message


async def test_errors_of_a_file_that_comes_further_each_time_do_not_add_up(world: World) -> None:
    """A model that fails now and then, over the hours that a long file takes."""
    for _ in range(TRIES - 1):
        await world.ledger.begin(JOB)
    for done in (3, 6):
        world.recognizer = Loudness(before=failing_at(3))
        with pytest.raises(RuntimeError):
            await world.transcriber().transcribe(JOB)
        assert (world.file.state, world.file.tries) == (FileState.QUEUED, 1)
        assert world.file.progress.segment_count == done
    world.recognizer = Loudness(before=failing_at(0))
    for tries in range(2, TRIES):
        with pytest.raises(RuntimeError):
            await world.transcriber().transcribe(JOB)
        assert world.file.tries == tries
    with pytest.raises(InvalidInput, match="gave up after 10 tries"):
        await world.transcriber().transcribe(JOB)


def failing_at(request: int) -> Callable[[int], None]:
    """What fails at the request of that number, which would begin another round."""

    def fail(number: int) -> None:
        if number >= request:
            raise RuntimeError

    return fail


class Slow(Loudness):
    """Takes so long for a file that its time is over, after the first `quick` chunks."""

    quick = 0

    async def recognize(self, request: Request) -> Hypothesis:
        if len(self.asked) >= self.quick:
            await asyncio.Event().wait()
        return await super().recognize(request)


async def test_a_file_whose_time_is_over_goes_on_and_counts_as_tried_until_it_is_given_up(world: World) -> None:
    world.recognizer, world.limit_s = Slow(), 0.3
    world.recognizer.quick = 3
    for tries in range(1, TRIES):
        with pytest.raises(TooSlow):
            await world.transcriber().transcribe(JOB)
        assert (world.file.state, world.file.tries) == (FileState.QUEUED, tries)
        assert (world.file.progress.segment_count, world.media.closed) == (3, tries)
        world.limit_s = 0.02
    with pytest.raises(InvalidInput, match=r"gave up after 10 tries: TooSlow: the file took longer than 0\.02 s"):
        await world.transcriber().transcribe(JOB)
    assert world.file.state is FileState.FAILED
    assert world.file.failure is not None
    assert world.file.failure.message == "gave up after 10 tries: the file took longer than 0.02 s"
    world.recognizer, world.limit_s = Loudness(), 60.0
    await world.transcriber().transcribe(JOB)  # replayed
    assert (world.file.state, world.file.tries, list(world.shelf.segments)) == (FileState.SUCCEEDED, 1, [*range(10)])


async def test_a_time_that_is_over_somewhere_else_is_an_error_as_any_other(world: World) -> None:
    world.shelf.failures = [TimeoutError()]
    with pytest.raises(TimeoutError):
        await world.transcriber().transcribe(JOB)
    assert (world.file.state, world.file.tries) == (FileState.QUEUED, 1)


async def test_a_file_that_kills_the_server_is_given_up(world: World) -> None:
    for _ in range(TRIES):
        await world.ledger.begin(JOB)  # and then nothing: it was killed
    with pytest.raises(InvalidInput):
        await world.transcriber().transcribe(JOB)
    assert world.file.state is FileState.FAILED
    assert world.recognizer.asked == []


async def test_a_cancelled_file_ends_with_its_round(world: World) -> None:
    def cancel(number: int) -> None:
        if number == 4:
            tenant, operation = world.ledger.kept[JOB.operation_id]
            files = [replace(file, state=FileState.CANCELLED) for file in operation.files]
            world.ledger.kept[JOB.operation_id] = (tenant, replace(operation, cancelled=True, files=files))

    world.recognizer.before = cancel
    await world.transcriber().transcribe(JOB)
    assert world.file.state is FileState.CANCELLED
    assert len(world.recognizer.asked) == 6
    assert world.media.closed == 1


async def test_a_drain_ends_the_round_in_work_and_takes_no_more_files(world: World) -> None:
    transcriber = world.transcriber()
    draining: list[asyncio.Task[None]] = []

    def drain(number: int) -> None:
        if number == 4:
            draining.append(asyncio.create_task(transcriber.drain(20)))

    world.recognizer.before = drain
    with pytest.raises(Draining):
        await transcriber.transcribe(JOB)
    await draining[0]
    assert (world.file.state, world.file.tries) == (FileState.QUEUED, 0)
    assert (world.file.progress.segment_count, len(world.recognizer.asked)) == (6, 6)
    with pytest.raises(Draining):
        await transcriber.transcribe(JOB)
    assert len(world.recognizer.asked) == 6


async def test_a_drain_waits_only_so_long(world: World) -> None:
    never = asyncio.Event()

    class Stuck(Loudness):
        async def recognize(self, request: object) -> Hypothesis:
            self.asked.append(request)  # type: ignore[arg-type]
            await never.wait()
            raise AssertionError

    world.recognizer = Stuck()
    transcriber = world.transcriber()
    work = asyncio.create_task(transcriber.transcribe(JOB))
    await come_true(lambda: world.recognizer.asked)
    await asyncio.wait_for(transcriber.drain(0.05), 10)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert (world.file.state, world.file.tries) == (FileState.QUEUED, 0)
