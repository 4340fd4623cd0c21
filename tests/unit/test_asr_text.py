"""Agreement between hypotheses, and the guards against invented text."""

from dataclasses import replace

import pytest

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
