"""Whisper in ONNX Runtime over scripted sessions: what the networks are given, second tries, faults of one clip."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ears import Ears
from jobs import GivenUp, Hypothesis, Job
from onnx_recogniser import BEAM_OF_STUCK, ByCare, OnnxRecogniser
from onnx_whisper import SILENT_ODDS, Writer
from passes import Decoder as Network
from tests.unit.test_triton_whisper_recogniser import CONTROLS, bytes_tokenizer, clip, heard
from vocabulary import Vocabulary
from waveform import SAMPLE_RATE, UnusableRequest

LAYERS, HEADS, WIDTH = 1, 2, 3
POOLED, TAIL = 4, 20
CLIPS = 2
SURE = -0.01


@dataclass
class Encoder:
    """Remembers how many frames it was given."""

    frames: list[int] = field(default_factory=list)
    fault: Exception | None = None

    def get_inputs(self) -> list[Any]:
        return []

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(name="keys0"), SimpleNamespace(name="values0")]

    def run(self, names: Sequence[str] | None, given: Mapping[str, Any]) -> list[Any]:
        if self.fault:
            raise self.fault
        self.frames.append(given["mel"].shape[2])
        positions = given["positions"].size
        assert positions == given["mel"].shape[2] // 2
        return [np.ones((HEADS, WIDTH, positions), np.float32), np.ones((HEADS, positions, WIDTH), np.float32)]


class Decoder:
    """Says each of its texts in turn, whatever it hears; a second hypothesis says nothing but spaces.

    Its memory holds the tokens themselves, so that a hypothesis that was given another's is noticed.
    """

    def __init__(self, *texts: str, controls: Sequence[str] = CONTROLS, silent: float = 0.2) -> None:
        self.tokenizer = bytes_tokenizer(list(controls))
        self.prompts: list[list[int]] = []
        self.heard: list[Mapping[str, Any]] = []
        self.fault: Callable[[Mapping[str, Any]], bool] | None = None
        self._silent = silent
        self._script = [[*self._ids(text), self._id("<|endoftext|>")] for text in texts]
        self._space = self._ids(" ")[0]

    def get_inputs(self) -> list[Any]:
        shapes: dict[str, list[int | str]] = {f"past{place}": ["h", HEADS, "before", WIDTH] for place in (0, 1)}
        for place in range(CLIPS):
            shapes |= {
                f"keys0.{place}": [HEADS, WIDTH, "p"],
                f"values0.{place}": [HEADS, "p", WIDTH],
                f"bias.{place}": ["p"],
            }
        shapes["banned"] = [1, self._size]
        return [SimpleNamespace(name=name, shape=shape) for name, shape in shapes.items()]

    def get_outputs(self) -> list[Any]:
        return []

    @property
    def _size(self) -> int:
        return self.tokenizer.get_vocab_size()

    def _id(self, control: str) -> int:
        return int(self.tokenizer.token_to_id(control))

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def run(self, names: Sequence[str] | None, given: Mapping[str, Any]) -> list[Any]:
        attention = [f"attention.{place}" for place in range(CLIPS)]
        assert list(names or []) == ["scores", "likeliest", "asked_scores", *attention, "present0", "present1"]
        for place in range(CLIPS):
            assert given[f"keys0.{place}"].shape[2] == given[f"values0.{place}"].shape[1] == given[f"bias.{place}"].size
        self.heard.append(given)
        if self.fault is not None and self.fault(given):
            raise RuntimeError("out of memory")
        tokens, past = given["tokens"], given["past0"]
        assert given["shares"].sum() == tokens.size
        assert given["mask"].shape == (len(tokens), 1, tokens.shape[1], past.shape[2] + tokens.shape[1])
        whole = [[*self._known(given, text), *map(int, tokens[text])] for text in range(len(tokens))]
        if past.shape[2] == 0 and tokens.shape[1] > 1 and given["count"][0] > 1:
            said = list(map(int, tokens[0]))
            self.prompts.append(said[: said.index(self._id("<|notimestamps|>")) + 1])
        scores = np.stack([self._scores(whole, tokens, int(row)) for row in given["rows"]]) + given["banned"]
        likeliest = np.argsort(-scores, axis=1, kind="stable")[:, : given["count"][0]]
        now = np.concatenate([past[:, 0, :, 0], tokens], axis=1)
        present = np.broadcast_to(now[:, np.newaxis, :, np.newaxis], (len(tokens), HEADS, now.shape[1], WIDTH))
        sizes = [given[f"bias.{place}"].size for place in range(CLIPS)]
        seen = [
            np.full((1, share, size), 1 / size, np.float32) for share, size in zip(given["shares"], sizes, strict=True)
        ]
        asked = np.take_along_axis(scores, given["asked"], 1)
        return [
            np.take_along_axis(scores, likeliest, 1),
            likeliest,
            asked,
            *seen,
            *[present.astype(np.float32)] * 2,
        ]

    @staticmethod
    def _known(given: Mapping[str, Any], text: int) -> list[int]:
        """What a text has before it, as its mask lets it see."""
        past, seen = given["past0"][text, 0, :, 0], given["mask"][text, 0, 0]
        length = given["places"][text, 0]
        assert np.isfinite(seen[: len(past)]).tolist() == [False] * (len(past) - length) + [True] * length
        return [int(token) for token in past[len(past) - length :]]

    def _scores(self, whole: list[list[int]], tokens: np.ndarray, row: int) -> np.ndarray:
        text, place = divmod(row, tokens.shape[1])
        said = whole[text][: len(whole[text]) - tokens.shape[1] + place + 1]
        scores = np.full(self._size, -20, np.float32)
        scores[self._space] = -5
        scores[self._id("<|nospeech|>")] = np.log(self._silent)
        if said == [self._id("<|startoftranscript|>")] and self.tokenizer.token_to_id("<|zh|>"):
            scores[[self._id("<|zh|>"), self._id("<|vi|>")]] = -1, -2
        if self.prompts and said[: len(self.prompts[-1])] == self.prompts[-1]:
            script, at = self._script[min(len(self.prompts), len(self._script)) - 1], len(said) - len(self.prompts[-1])
            if said[len(self.prompts[-1]) :] == script[:at]:
                scores[script[at]] = SURE
        return scores


class Speakable(Vocabulary):
    """A vocabulary of bytes, in which a space is no mark of music, and no part of the first word."""

    unspeakable: list[int] = []  # noqa: RUF012

    def draft(self, code: str, text: str) -> list[int]:
        return list(self.language(code).encode(text))


def tail() -> dict[str, np.ndarray]:
    return {
        "keys0": np.zeros((HEADS, WIDTH, TAIL), np.float32),
        "values0": np.zeros((HEADS, TAIL, WIDTH), np.float32),
        "bias": np.full(TAIL, 1.5, np.float32),
    }


def whisper(whole: Decoder, *cuts: Decoder) -> tuple[OnnxRecogniser, Encoder]:
    encoder = Encoder()

    def mel(samples: np.ndarray) -> np.ndarray:
        return np.ones((80, samples.size // 160 + 1), np.float32)

    writers = [Writer(Network(each), Speakable(each.tokenizer, multilingual=True)) for each in (whole, *cuts)]
    return OnnxRecogniser(Ears(encoder, mel, tail(), POOLED), writers[0], writers[1:]), encoder


def recognised(recogniser: OnnxRecogniser, job: Job) -> Hypothesis:
    return heard(recogniser.recognise([job])[0])


@pytest.mark.parametrize("beam", [1, 3])
def test_a_clip_is_encoded_with_little_silence_and_heard_with_more(beam: int) -> None:
    decoder = Decoder("xin chao")
    recogniser, encoder = whisper(decoder)
    answer = recognised(recogniser, Job(clip(0.4), "vi", beam_size=beam))
    assert (answer.text, answer.language, answer.language_prob) == ("xin chao", "vi", 1.0)
    assert encoder.frames == [120]  # .4 s and .75 s, in steps of .08 s
    assert answer.context_seconds == 2
    behind = decoder.heard[0]
    assert behind["bias.0"].tolist() == [0.0] * 60 + [1.5] * (TAIL - 60 // POOLED)
    assert behind["keys0.0"][0, 0].tolist() == [1.0] * 60 + [0.0] * (TAIL - 60 // POOLED)


def test_a_long_clip_brings_its_own_silence() -> None:
    recogniser, encoder = whisper(Decoder("xin chao"))
    assert recognised(recogniser, Job(clip(14), "vi")).context_seconds == 16
    assert encoder.frames == [1600]


def test_the_mean_log_probability_counts_the_end_of_the_text() -> None:
    recogniser, _ = whisper(Decoder("abc"))
    assert recognised(recogniser, Job(clip(), "en", beam_size=3)).avg_logprob == pytest.approx(SURE, abs=1e-3)


def test_silence_from_elsewhere_makes_it_no_likelier_that_nobody_spoke() -> None:
    recogniser, _ = whisper(Decoder("abc", silent=0.5))
    short = recognised(recogniser, Job(clip(0.4), "en"))
    assert short.no_speech_prob == pytest.approx(1 / (1 + SILENT_ODDS), abs=1e-3)
    assert recognised(recogniser, Job(clip(14), "en")).no_speech_prob == pytest.approx(0.5, abs=1e-3)


def test_a_language_that_is_not_given_is_heard_among_those_that_may_be() -> None:
    recogniser, _ = whisper(Decoder("xin"))
    assert recognised(recogniser, Job(clip())).language == "zh"
    among = recognised(recogniser, Job(clip(), "en, vi"))
    assert among.language == "vi"
    assert 0.9 < among.language_prob <= 1


def test_a_language_with_a_cut_is_written_by_it_and_others_by_the_whole_model() -> None:
    others = [each for each in CONTROLS if each not in ("<|en|>", "<|zh|>")]
    recogniser, _ = whisper(Decoder("ni hao"), Decoder("xin", controls=others))
    assert [recognised(recogniser, Job(clip(), code)).text for code in ("vi", "zh")] == ["xin", "ni hao"]


def test_a_loop_is_heard_with_more_context_and_nothing_before_and_then_without_loops() -> None:
    decoder = Decoder("ha " * 20, "ha " * 20, "ha " * 20)
    recogniser, encoder = whisper(decoder)
    answer = recognised(recogniser, Job(clip(3), "vi", previous_text="mot hai ba bon"))
    assert encoder.frames == [376, 800]
    assert [len(prompt) for prompt in decoder.prompts] == [13, 4, 4]
    assert answer.context_seconds == 8
    assert answer.text.startswith("ha ha")
    assert not any(answer.text.count(phrase) > 2 for phrase in ("ha ha ha ha",))


def test_a_loop_in_a_long_clip_is_heard_with_all_that_whisper_was_trained_on() -> None:
    recogniser, encoder = whisper(Decoder("ha " * 60, "xin chao"))
    answer = recognised(recogniser, Job(clip(14), "vi"))
    assert (answer.text, answer.context_seconds) == ("xin chao", 30)
    assert encoder.frames == [1600, 3000]


def test_words_come_with_their_times() -> None:
    recogniser, _ = whisper(Decoder("xin chao"))
    answer = recognised(recogniser, Job(clip(), "vi"))
    assert [word.text for word in answer.words] == ["xin", "chao"]
    assert all(0 <= word.start <= word.end <= 3 for word in answer.words)
    assert len(answer.token_logprobs) == len(answer.tokens) == 8
    assert answer.token_logprobs == pytest.approx([SURE] * 8, abs=1e-3)


def test_words_are_timed_by_what_each_token_attended_to_while_it_was_written() -> None:
    decoder = Decoder("xin chao")
    recogniser, _ = whisper(decoder)
    recognised(recogniser, Job(clip(), "vi", beam_size=3))
    passes = len(decoder.heard)
    answer = recognised(recogniser, Job(clip(), "vi", beam_size=3))
    assert len(decoder.heard) == 2 * passes  # none for the times
    assert [word.start for word in answer.words] == sorted(word.start for word in answer.words)


@pytest.mark.parametrize(
    ("draft", "kept"), [("xin chao", 8), ("xin chao cac bin", 14), ("xin chao cac ban", 16), ("xa", 1), ("mot", 0)]
)
def test_a_draft_is_read_at_once_and_goes_on_from_where_it_holds_no_more(draft: str, kept: int) -> None:
    alone, decoder = Decoder("xin chao cac ban"), Decoder("xin chao cac ban")
    job = Job(clip(), "vi")
    told = recognised(whisper(alone)[0], job)
    answer = recognised(whisper(decoder)[0], replace(job, draft=draft))
    assert (answer.text, answer.tokens) == (told.text, told.tokens)
    assert answer.token_logprobs == pytest.approx(told.token_logprobs, abs=1e-3)
    assert answer.words == told.words
    assert len(decoder.heard) == len(alone.heard) - kept


def test_a_beam_looks_at_no_draft() -> None:
    alone, decoder = Decoder("xin chao"), Decoder("xin chao")
    job = Job(clip(), "vi", beam_size=3)
    assert recognised(whisper(decoder)[0], replace(job, draft="xin")) == recognised(whisper(alone)[0], job)
    assert len(decoder.heard) == len(alone.heard)


def test_a_draft_that_loops_is_forgotten_and_a_beam_looks_for_more() -> None:
    decoder = Decoder("ha " * 20, "xin chao")
    recogniser, _ = whisper(decoder)
    assert recognised(recogniser, Job(clip(3), "vi", draft="ha " * 20)).text == "xin chao"
    beams = [int(given["count"][0]) // 2 for given in decoder.heard if given["past0"].shape[2] == 0]
    assert beams == [1, BEAM_OF_STUCK]


def test_what_is_wrong_with_one_clip_spoils_no_other() -> None:
    recogniser, _ = whisper(Decoder("xin"))
    jobs = [Job(clip(31), "vi"), Job(clip(), "xx"), Job(clip(), "vi", beam_size=11), Job(clip(), "vi")]
    *refused, good = recogniser.recognise(jobs)
    assert all(isinstance(fault, UnusableRequest) for fault in refused)
    assert heard(good).text == "xin"


def test_what_nobody_waits_for_any_more_is_not_written_to_its_end() -> None:
    decoder = Decoder("xin chao")
    asked: list[int] = []

    def given_up() -> bool:
        asked.append(len(decoder.heard))
        return len(asked) == 3

    (answer,) = whisper(decoder)[0].recognise([Job(clip(), "vi", given_up=given_up)])
    assert isinstance(answer, GivenUp)
    assert asked == [0, 1, 2]
    assert len(decoder.heard) == 2


def test_what_is_to_be_soon_and_what_is_to_be_right_go_their_ways() -> None:
    soon, right = whisper(Decoder("soon"))[0], whisper(Decoder("right"))[0]
    jobs = [Job(clip(), "en", beam_size=beam) for beam in (1, 5, 1)]
    assert [heard(answer).text for answer in ByCare(soon, right).recognise(jobs)] == ["soon", "right", "soon"]


def test_a_fault_of_the_engine_is_the_answer() -> None:
    recogniser, encoder = whisper(Decoder("xin"))
    encoder.fault = RuntimeError("out of memory")
    assert recogniser.recognise([Job(np.zeros(SAMPLE_RATE, np.float32), "vi")]) == [encoder.fault]
