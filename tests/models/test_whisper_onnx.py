"""The networks that `mesh.models` writes for ONNX Runtime, beside CTranslate2 with the same weights, on real speech."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from statistics import median

import ctranslate2
import numpy as np
import pytest
from faster_whisper import WhisperModel
from faster_whisper.audio import decode_audio

import onnx_whisper
from bench.scoring import normalised
from decoder import Decoder
from jobs import Hypothesis, Job
from loops import token_room
from mesh.home import Home
from onnx_network import Network
from onnx_recogniser import OnnxRecogniser
from recogniser import Recogniser
from vectors import supported
from vocabulary import Vocabulary
from waveform import SAMPLE_RATE

pytestmark = pytest.mark.timeout(300)

LONGEST_S = 10


@dataclass(frozen=True)
class Spoken:
    """A clip, or its beginning."""

    samples: np.ndarray
    language: str


class Both:
    """The same weights on both runtimes."""

    def __init__(self, models: Path, speech: Path, compiled: bool) -> None:
        self.models = models
        self._speech = speech
        self._compiled = compiled

    @cached_property
    def onnx(self) -> OnnxRecogniser:
        return OnnxRecogniser(*onnx_whisper.load(self.models / "whisper-base-onnx", 2, self._compiled))

    @cached_property
    def ctranslate2(self) -> Recogniser:
        whole, *cuts = (self._model(name) for name in ("whisper-base", "whisper-base-cut-vi", "whisper-base-cut-en"))
        decoders = [
            Decoder(each.model, Vocabulary(each.hf_tokenizer, multilingual=True), view) for each in (whole, *cuts)
        ]
        return Recogniser(whole.model, decoders[0], decoders[1:], whole.feature_extractor, view, 1)

    def _model(self, name: str) -> WhisperModel:
        return WhisperModel(str(self.models / name), device="cpu", compute_type="int8", local_files_only=True)

    @cached_property
    def clips(self) -> list[Spoken]:
        """All clips of the demo, their first ten seconds."""
        return list(self._read())

    def _read(self) -> Iterator[Spoken]:
        for line in (self._speech / "manifest.jsonl").read_text().splitlines():
            about = json.loads(line)
            sound = decode_audio(str(self._speech / about["file"]))[: LONGEST_S * SAMPLE_RATE]
            yield Spoken(np.asarray(sound, np.float32), about["lang"])


@pytest.fixture(scope="module", params=[False, True], ids=["decoder in ONNX Runtime", "decoder in compiled loops"])
def both(speech_folder: Path, request: pytest.FixtureRequest) -> Both:
    """Skips where the models are not, or where the processor lacks instructions."""
    if request.param and not supported():
        pytest.skip("this processor has neither AVX-512 VNNI nor AVX2")
    models = Home.from_env().models
    if not (models / "whisper-base-onnx").is_dir():
        pytest.skip("this test needs the models: `make models`")
    return Both(models, speech_folder, request.param)


def view(array: np.ndarray) -> ctranslate2.StorageView:
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(array))


def heard(recogniser: OnnxRecogniser | Recogniser, job: Job) -> Hypothesis:
    (answer,) = recogniser.recognise([job])
    assert isinstance(answer, Hypothesis), answer
    return answer


def same_words(one: Hypothesis, other: Hypothesis) -> Iterator[float]:
    """How many seconds apart the words begin that both have, in order."""
    spoken = [[normalised(word.text) for word in each.words] for each in (one, other)]
    for block in SequenceMatcher(None, *spoken, autojunk=False).get_matching_blocks():
        for at in range(block.size):
            yield abs(one.words[block.a + at].start - other.words[block.b + at].start)


def test_both_hear_the_same_words_at_the_same_time(both: Both) -> None:
    jobs = [Job(clip.samples, clip.language, beam_size=3) for clip in both.clips]
    new, old = ([heard(recogniser, job) for job in jobs] for recogniser in (both.onnx, both.ctranslate2))
    apart = [apart for pair in zip(old, new, strict=True) for apart in same_words(*pair)]
    assert len(apart) > 0.7 * sum(len(answer.words) for answer in old)
    assert median(apart) <= 0.04
    assert sorted(apart)[round(len(apart) * 0.9)] <= 0.2
    for answer, job in zip(new, jobs, strict=True):
        starts = [word.start for word in answer.words]
        assert all(a <= b for a, b in pairwise(starts))
        assert answer.words[-1].end <= job.duration
        assert len(answer.token_logprobs) == len(answer.tokens)


def test_both_find_the_same_language(both: Both) -> None:
    for allowed in ("vi,en", ""):
        found = [heard(both.onnx, Job(clip.samples, allowed)).language for clip in both.clips]
        right = sum(code == clip.language for code, clip in zip(found, both.clips, strict=True))
        assert right >= len(both.clips) - 1, found


def test_beginnings_of_clips_seldom_loop_though_little_is_encoded(both: Both) -> None:
    answers = []
    for clip in both.clips:
        for seconds in (0.3, 1.0, 1.7, 2.4):
            answer = heard(both.onnx, Job(clip.samples[: round(seconds * SAMPLE_RATE)], clip.language))
            assert len(answer.tokens) < token_room(round(seconds * SAMPLE_RATE)), answer.text
            answers.append(answer)
    again = [answer.text for answer in answers if answer.context_seconds > 4]
    assert len(again) <= len(answers) / 10, again


def test_the_text_before_is_taken_after(both: Both) -> None:
    english = [clip for clip in both.clips if clip.language == "en"]
    counting = next(clip for clip in english if "1" in heard(both.onnx, Job(clip.samples, "en", beam_size=3)).text)
    before = "minus four, minus three, minus two, minus one"
    answer = heard(both.onnx, Job(counting.samples, "en", previous_text=before, beam_size=3))
    assert "three" in answer.text.lower()


def test_the_same_clip_is_heard_the_same_twice(both: Both) -> None:
    job = Job(both.clips[0].samples, both.clips[0].language, beam_size=3)
    assert heard(both.onnx, job) == heard(both.onnx, job)


def test_what_a_clip_says_does_not_depend_on_its_company(both: Both) -> None:
    jobs = [Job(clip.samples, clip.language, beam_size=3) for clip in both.clips]
    alone = [heard(both.onnx, job).text for job in jobs]
    together = [answer.text for answer in both.onnx.recognise(jobs) if isinstance(answer, Hypothesis)]
    differ = [pair for pair in zip(alone, together, strict=True) if pair[0] != pair[1]]
    assert len(differ) <= len(jobs) / 10, differ  # sums in another order round otherwise, and may decide what is even


def test_a_failure_inside_the_network_is_an_error_of_that_clip(both: Both) -> None:
    network = Network(both.models / "whisper-base-onnx" / "encoder.onnx", 1)
    with pytest.raises(RuntimeError, match="mel"):
        network.run(None, {"mel": np.zeros((1, 7, 16), np.float32), "positions": np.arange(8)})


def test_noise_of_half_a_minute_is_answered(both: Both) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 30 * SAMPLE_RATE).astype(np.float32)
    answer = heard(both.onnx, Job(noise, "en"))
    assert answer.context_seconds == 30
    assert len(answer.tokens) < token_room(noise.size)
    assert all(0 <= word.start <= word.end <= 30 for word in answer.words)
