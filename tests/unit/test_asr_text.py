"""Agreement between hypotheses, and the guards against invented text."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.asr.agreement import Agreement, LocalAgreement
from servers.asr.guards import rejection
from servers.asr.recognition import Hypothesis

SAID = Hypothesis("Xin chào các bạn.", "vi", (), avg_logprob=-0.3, no_speech_probability=0.05, compression_ratio=1.1)


def test_nothing_is_stable_at_first() -> None:
    assert LocalAgreement().update("xin chào") == Agreement("", "xin chào")


def test_what_two_hypotheses_share_is_stable() -> None:
    agreement = LocalAgreement()
    agreement.update("Xin chào cả")
    assert agreement.update("xin chào, các bạn") == Agreement("xin chào,", " các bạn")


def test_a_contradiction_takes_stability_back() -> None:
    agreement = LocalAgreement()
    agreement.update("một hai ba")
    agreement.update("một hai ba bốn")
    assert agreement.update("một tư ba bốn") == Agreement("một", " tư ba bốn")


def test_stable_text_and_the_rest_join_to_the_hypothesis() -> None:
    agreement = LocalAgreement()
    agreement.update("a b c")
    split = agreement.update("a b d e")
    assert split.stable + split.unstable == "a b d e"


def test_stable_words_are_counted() -> None:
    agreement = LocalAgreement()
    assert agreement.update("một hai ba").stable_words == 0
    assert agreement.update("một hai tư").stable_words == 2


def test_a_shorter_hypothesis_does_not_keep_words_that_it_does_not_have() -> None:
    agreement = LocalAgreement()
    agreement.update("một hai ba")
    agreement.update("một hai ba bốn")
    assert agreement.update("một hai") == Agreement("một hai", "")


def test_words_that_are_settled_are_agreed_on_no_more() -> None:
    agreement = LocalAgreement()
    agreement.update("một hai ba bốn")
    agreement.update("một hai ba bốn năm")
    agreement.drop(3)
    assert agreement.update("bốn năm sáu") == Agreement("bốn năm", " sáu")


def test_more_can_be_settled_than_was_agreed_on() -> None:
    agreement = LocalAgreement()
    agreement.update("một hai")
    agreement.drop(5)
    assert agreement.update("ba") == Agreement("", "ba")


@given(st.lists(st.lists(st.sampled_from(["a", "A,", "b", "c"]), max_size=8), max_size=8))
def test_the_two_parts_always_join_to_the_hypothesis(hypotheses: list[list[str]]) -> None:
    agreement = LocalAgreement()
    for words in hypotheses:
        split = agreement.update(" ".join(words))
        assert split.stable + split.unstable == " ".join(words)
        assert split.stable_words <= len(words)


def test_ordinary_speech_passes() -> None:
    assert rejection(SAID, audio_s=2.0) == ""


@pytest.mark.parametrize(
    ("doubted", "reason"),
    [
        (replace(SAID, text=" ... "), "empty"),
        (replace(SAID, compression_ratio=3.0), "repetitive"),
        (replace(SAID, text="la " * 60), "repetitive"),
        (replace(SAID, avg_logprob=-1.6), "improbable"),
        (replace(SAID, no_speech_probability=0.8, avg_logprob=-1.1), "no_speech"),
        (replace(SAID, text="Hãy subscribe cho kênh Ghiền Mì Gõ"), "phrase"),
        (replace(SAID, text="Cảm ơn các bạn!", no_speech_probability=0.5), "phrase"),
        (replace(SAID, text="Thank you.", language="en", no_speech_probability=0.5), "phrase"),
    ],
)
def test_each_guard_catches_its_case(doubted: Hypothesis, reason: str) -> None:
    assert rejection(doubted, audio_s=2.0) == reason


def test_polite_phrases_pass_when_somebody_clearly_speaks() -> None:
    assert rejection(replace(SAID, text="Cảm ơn các bạn!"), audio_s=2.0) == ""
