"""Whisper's recogniser over a scripted engine: batches, second tries, faults of one request alone."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from decoder import Decoder, length_limit, token_room
from jobs import Hypothesis, Job, plan
from recogniser import Recogniser
from vocabulary import Vocabulary
from waveform import SAMPLE_RATE, UnusableRequest

CONTROLS = [
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|zh|>", "<|vi|>", "<|translate|>", "<|transcribe|>",
    "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
]  # fmt: skip


def bytes_tokenizer(controls: list[str] = CONTROLS) -> Tokenizer:
    """A tokenizer of single bytes with Whisper's controls behind them."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: index for index, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(control, special=True) for control in controls])
    return tokenizer


@dataclass
class ScriptedEngine:
    """Answers `generate` from a list of texts a call, and remembers what it was asked."""

    tokenizer: Tokenizer
    script: list[list[str] | Exception]
    contexts: list[int] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    alignments: list[int] = field(default_factory=list)
    heard: list[str] = field(default_factory=lambda: ["zh"] * 9)

    def encode(self, features: np.ndarray, to_cpu: bool = False) -> np.ndarray:
        self.contexts.append(features.shape[2] // 100)
        return np.zeros((len(features), features.shape[2] // 2, 4), np.float32)

    def detect_language(self, features: np.ndarray) -> list[list[tuple[str, float]]]:
        likeliest = self.heard.pop(0)
        others = [code for code in ("vi", "en", "zh") if code != likeliest]
        return [[(f"<|{likeliest}|>", 0.5), (f"<|{others[0]}|>", 0.3), (f"<|{others[1]}|>", 0.2)]]

    def generate(self, features: np.ndarray, prompts: list[list[int]], **options: Any) -> list[Any]:
        assert len(features) == len(prompts)
        assert len({len(prompt) for prompt in prompts}) == 1
        self.calls.append({"prompts": prompts, **options})
        texts = self.script.pop(0)
        if isinstance(texts, Exception):
            raise texts
        ids = [self.tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        return [SimpleNamespace(sequences_ids=[each], scores=[-0.5], no_speech_prob=0.1) for each in ids]

    def align(self, features: np.ndarray, start: list[int], text: list[list[int]], num_frames: list[int]) -> list[Any]:
        assert len(features) == len(text) == len(num_frames)
        self.alignments.append(len(text))
        return [
            SimpleNamespace(
                text_token_probs=[0.5] * len(tokens),
                alignments=[(token, token * 2) for token in range(len(tokens) + 1)],
            )
            for tokens in text
        ]


def recogniser(
    *script: list[str] | Exception, cuts: dict[str, ScriptedEngine] | None = None, encoded_together: int = 1
) -> tuple[Recogniser, ScriptedEngine]:
    """A recogniser whose full model answers from `script`; `cuts` are engines that serve one language each."""
    engine = ScriptedEngine(bytes_tokenizer(), list(script))
    return Recogniser(
        engine,
        full=decoder(engine),
        cuts=[decoder(cut) for cut in (cuts or {}).values()],
        mel=lambda a: np.ones((80, a.size // 160 + 1), np.float32),
        to_view=lambda a: a,
        encoded_together=encoded_together,
    ), engine


def decoder(engine: ScriptedEngine) -> Decoder:
    return Decoder(engine, Vocabulary(engine.tokenizer, multilingual=True), lambda a: a)


def cut_to(language: str, *script: list[str]) -> ScriptedEngine:
    """An engine whose tokenizer has the mark of one language."""
    others = {"<|en|>", "<|zh|>", "<|vi|>"} - {f"<|{language}|>"}
    return ScriptedEngine(bytes_tokenizer([each for each in CONTROLS if each not in others]), list(script))


def clip(seconds: float = 3.0) -> np.ndarray:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def heard(answer: Hypothesis | Exception) -> Hypothesis:
    assert isinstance(answer, Hypothesis)
    return answer


def test_clips_of_one_kind_are_encoded_alone_and_decoded_together() -> None:
    whisper, engine = recogniser([" xin chao", " hello"])
    first, second = map(heard, whisper.recognise([Job(clip(), "vi"), Job(clip(8.5), "en")]))
    assert (first.text, first.language, first.context_seconds) == ("xin chao", "vi", 11)
    assert (second.text, second.language) == ("hello", "en")
    assert engine.contexts == [11, 11]
    assert len(engine.calls) == 1
    assert engine.script == []


def test_clips_are_encoded_together_where_that_is_asked_for() -> None:
    whisper, engine = recogniser([" mot", " hai", " ba"], encoded_together=2)
    answers = whisper.recognise([Job(clip(), "vi"), Job(clip(), "vi"), Job(clip(), "vi")])
    assert [heard(answer).text for answer in answers] == ["mot", "hai", "ba"]
    assert engine.contexts == [8, 8]


def test_the_mean_log_probability_counts_the_end_of_the_text() -> None:
    whisper, _ = recogniser([" abc"])
    answer = heard(whisper.recognise([Job(clip(), "en")])[0])
    assert answer.avg_logprob == pytest.approx(-0.5 * 4 / 5)
    assert answer.no_speech_prob == 0.1


def test_a_language_that_is_not_given_is_detected() -> None:
    whisper, engine = recogniser([" xin"])
    answer = heard(whisper.recognise([Job(clip())])[0])
    assert (answer.language, answer.language_prob) == ("zh", 0.5)
    assert engine.tokenizer.token_to_id("<|zh|>") in engine.calls[0]["prompts"][0]


def test_of_several_languages_the_likeliest_is_taken() -> None:
    whisper, engine = recogniser([" xin"])
    answer = heard(whisper.recognise([Job(clip(), "en, vi")])[0])
    assert (answer.language, answer.language_prob) == ("vi", pytest.approx(0.6))
    assert engine.tokenizer.token_to_id("<|vi|>") in engine.calls[0]["prompts"][0]


def test_an_english_only_model_detects_nothing() -> None:
    tokenizer = bytes_tokenizer()
    vocabulary = Vocabulary(tokenizer, multilingual=False)
    assert vocabulary.candidates("") == vocabulary.candidates("vi,en") == ("en",)


def test_words_come_with_their_times_when_asked_for() -> None:
    whisper, _ = recogniser([" xin chao"])
    answer = heard(whisper.recognise([Job(clip(), "vi")])[0])
    assert [word.text for word in answer.words] == ["xin", "chao"]
    assert answer.words[1].start == pytest.approx(answer.words[0].end)
    assert len(answer.token_logprobs) == len(answer.tokens) == 9


def test_silence_has_no_words() -> None:
    whisper, _ = recogniser([""])
    answer = heard(whisper.recognise([Job(clip(), "vi")])[0])
    assert (answer.text, answer.words, answer.tokens) == ("", [], [])


def test_words_of_clips_in_one_language_are_timed_together() -> None:
    whisper, engine = recogniser([" mot", " hai ba", " four", ""])
    jobs = [Job(clip(), code) for code in ("vi", "vi", "en", "vi")]
    answers = [heard(answer) for answer in whisper.recognise(jobs)]
    assert [[word.text for word in answer.words] for answer in answers] == [["mot"], ["hai", "ba"], ["four"], []]
    assert sorted(engine.alignments) == [1, 2]


def test_a_language_with_a_cut_is_decoded_by_it_and_others_by_the_full_model() -> None:
    cuts = {"vi": cut_to("vi", [" xin"], [" chao"]), "en": cut_to("en", [" hello"])}
    whisper, full = recogniser([" ni hao"], cuts=cuts)
    answers = [heard(each) for each in whisper.recognise([Job(clip(), code) for code in ("vi", "en", "zh", "vi,en")])]
    assert [(answer.text, answer.language) for answer in answers] == [
        ("xin", "vi"), ("hello", "en"), ("ni hao", "zh"), ("chao", "vi"),
    ]  # fmt: skip
    assert full.contexts == [8, 8, 8, 8]
    assert cuts["vi"].contexts == cuts["en"].contexts == []
    marks = [[engine.tokenizer.id_to_token(call["prompts"][0][1]) for call in engine.calls] for engine in cuts.values()]
    assert marks == [["<|vi|>", "<|vi|>"], ["<|en|>"]]


def test_clips_of_one_kind_whose_languages_turn_out_to_differ_are_decoded_apart() -> None:
    english = cut_to("en", [" hello"])
    whisper, full = recogniser([" xin", " chao"], cuts={"en": english})
    full.heard = ["vi", "en", "vi"]
    answers = [heard(each) for each in whisper.recognise([Job(clip()), Job(clip()), Job(clip())])]
    assert [answer.text for answer in answers] == ["xin", "hello", "chao"]


def test_a_loop_is_decoded_again_with_thirty_seconds_and_without_the_text_before() -> None:
    whisper, engine = recogniser([" ha" * 20], [" xin chao"])
    answer = heard(whisper.recognise([Job(clip(), "vi", previous_text="mot hai ba bon")])[0])
    assert (answer.text, answer.context_seconds) == ("xin chao", 30)
    assert engine.contexts == [8, 30]
    assert len(engine.calls[0]["prompts"][0]) > len(engine.calls[1]["prompts"][0]) == 4
    assert "no_repeat_ngram_size" not in engine.calls[1]


def test_a_loop_that_stays_is_decoded_with_repetition_forbidden() -> None:
    whisper, engine = recogniser([" ha" * 20], [" ha" * 20], [" ha"])
    assert heard(whisper.recognise([Job(clip(), "vi")])[0]).text == "ha"
    assert engine.calls[2]["no_repeat_ngram_size"] == 3


def test_a_text_that_ran_out_of_room_counts_as_stuck() -> None:
    unending = "".join(chr(ord("a") + index * 7 % 26) for index in range(token_room(clip().size)))
    whisper, engine = recogniser([unending], [" well"])
    assert heard(whisper.recognise([Job(clip(), "en")])[0]).text == "well"
    assert engine.contexts == [8, 30]


def test_only_the_request_at_fault_fails() -> None:
    whisper, engine = recogniser([" one", " two"])
    answers = whisper.recognise([
        Job(clip(), "en"), Job(clip(0), "en"), Job(clip(), "xx"), Job(clip(), "en", beam_size=11), Job(clip(), "en"),
    ])  # fmt: skip
    assert [heard(answers[place]).text for place in (0, 4)] == ["one", "two"]
    assert all(isinstance(answers[place], UnusableRequest) for place in (1, 2, 3))
    assert len(engine.calls) == 1


def test_a_fault_of_the_engine_stays_in_its_batch() -> None:
    whisper, _ = recogniser(RuntimeError("out of memory"), [" fine"])
    answers = whisper.recognise([Job(clip(), "en"), Job(clip(), "en", beam_size=5)])
    assert isinstance(answers[0], RuntimeError)
    assert heard(answers[1]).text == "fine"


def test_beams_prompts_and_wide_apart_lengths_are_batched_apart() -> None:
    jobs = [
        Job(clip(2)),
        Job(clip(2), beam_size=5),
        Job(clip(9)),
        Job(clip(14)),
        Job(clip(11)),
        Job(clip(2), previous_text="a b"),
    ]
    batches = plan(list(enumerate(jobs)), lambda job: (job.beam_size, len(job.previous_text)))
    assert sorted((sorted(batch.places), batch.seconds) for batch in batches) == [
        ([0, 2], 11),
        ([1], 8),
        ([3, 4], 16),
        ([5], 8),
    ]


@pytest.mark.parametrize(
    ("letters", "kept"), [(0, 0), (6, 0), (7, 9), (30, 25), (500, 97)]
)  # the space in front counts, and `<|startofprev|>` is one
def test_the_text_before_is_cut_to_whole_steps(letters: int, kept: int) -> None:
    vocabulary = Vocabulary(bytes_tokenizer(), multilingual=True)
    tokens = vocabulary.context("", "a" * letters)
    assert len(tokens) == kept
    assert len(vocabulary.prompt("vi", "", "a" * letters)) == kept + 4


def test_the_end_of_the_text_before_is_what_is_kept() -> None:
    vocabulary = Vocabulary(bytes_tokenizer(), multilingual=True)
    assert vocabulary.language("en").decode(vocabulary.context("", "0123456789abcd")) == "6789abcd"


@pytest.mark.parametrize(
    ("hotwords", "before", "context"),
    [
        ("ai2Text, Triton", "", "        Ai2Text, Triton."),
        (" ai2Text\n,Triton ,", "0123456789abcd", "        Ai2Text, Triton.6789abcd"),
        (" , \n", "", ""),
        (f"Triton, {'x' * 60}", "", " Triton."),  # whole terms only
    ],
)
def test_hotwords_stand_before_the_text_before_in_whole_steps(hotwords: str, before: str, context: str) -> None:
    vocabulary = Vocabulary(bytes_tokenizer(), multilingual=True)
    tokens = vocabulary.context(hotwords, before)
    assert vocabulary.language("en").decode(tokens) == context
    assert len(tokens[1:]) % 8 == 0
    assert len(vocabulary.context("x" * 46, "y" * 200)) == 97


def test_a_loop_is_decoded_again_without_hotwords() -> None:
    whisper, engine = recogniser([" ha" * 20], [" xin chao"])
    assert heard(whisper.recognise([Job(clip(), "vi", hotwords="Triton")])[0]).text == "xin chao"
    assert [len(call["prompts"][0]) for call in engine.calls] == [13, 4]


def test_a_language_that_whisper_does_not_know_is_refused() -> None:
    with pytest.raises(UnusableRequest, match="'xx'"):
        Vocabulary(bytes_tokenizer(), multilingual=True).language("xx")
    with pytest.raises(UnusableRequest, match="none that this model knows"):
        Vocabulary(bytes_tokenizer(), multilingual=True).language("yue")  # a code of Whisper's, but of its newest only
    with pytest.raises(UnusableRequest, match="English only"):
        Vocabulary(bytes_tokenizer(), multilingual=False).language("vi")


@pytest.mark.parametrize(("seconds", "prompt", "limit"), [(0.1, 4, 34), (5, 4, 112), (5, 100, 156), (30, 100, 448)])
def test_the_decoder_has_room_for_eight_tokens_a_second(seconds: float, prompt: int, limit: int) -> None:
    """CTranslate2 decodes min(limit / 2, limit - prompt)."""
    assert length_limit(round(seconds * SAMPLE_RATE), prompt) == limit
