"""Which hypotheses are no speech. Whisper invents text for silence and noise; the voice activity detector comes first.

Thresholds of log-probability and compression ratio are those of Radford et al., "Robust Speech Recognition via
Large-Scale Weak Supervision", 2022, section 4.5.
"""

import unicodedata

from servers.asr.recognition import Hypothesis

MIN_AVG_LOGPROB = -1.5
"""Lower than the paper's -1.0, where it decodes anew: here the text would be lost, and a voice was heard."""
MAX_COMPRESSION_RATIO = 2.4
NO_SPEECH_PROBABILITY = 0.6
DOUBTFUL_AVG_LOGPROB = -1.0
MAX_WORDS_A_SECOND = 12.0

# Sentences from subtitles of the training data, without case and punctuation. `ALWAYS`: nobody says them into a
# microphone; `DOUBTED`: people do say them, so a weak sign of silence must join.
ALWAYS: dict[str, tuple[str, ...]] = {
    "vi": (
        "hãy subscribe cho kênh",
        "hãy đăng ký kênh để",
        "các bạn hãy đăng ký kênh",
        "đừng quên đăng ký kênh",
        "nhớ đăng ký kênh",
        "cảm ơn các bạn đã theo dõi và hẹn gặp lại",
        "cảm ơn các bạn đã xem video",
    ),
    "en": (
        "please subscribe to",
        "don't forget to subscribe",
        "subtitles by the amaraorg community",
        "thanks for watching and",
        "transcription by castingwords",
    ),
}
DOUBTED: dict[str, tuple[str, ...]] = {
    "vi": ("cảm ơn các bạn", "cảm ơn các bạn đã theo dõi", "xin chào các bạn", "hẹn gặp lại các bạn", "cảm ơn"),
    "en": ("thank you", "thanks for watching", "thank you for watching", "bye", "you", "thank you very much"),
}
DOUBTED_NO_SPEECH_PROBABILITY = 0.3


def rejection(hypothesis: Hypothesis, audio_s: float) -> str:
    """Why the hypothesis is not believed, for logs and metrics; empty when it is. `audio_s` is its audio's length."""
    text = _bare(hypothesis.text)
    if not text:
        return "empty"
    if hypothesis.compression_ratio > MAX_COMPRESSION_RATIO or len(text.split()) > 2 + MAX_WORDS_A_SECOND * audio_s:
        return "repetitive"
    if hypothesis.avg_logprob < MIN_AVG_LOGPROB:
        return "improbable"
    doubtful = hypothesis.avg_logprob < DOUBTFUL_AVG_LOGPROB
    if hypothesis.no_speech_probability > NO_SPEECH_PROBABILITY and doubtful:
        return "no_speech"
    return _phrase(hypothesis, text)


def _phrase(hypothesis: Hypothesis, text: str) -> str:
    if text.startswith(ALWAYS.get(hypothesis.language, ())):
        return "phrase"
    silent = hypothesis.no_speech_probability > DOUBTED_NO_SPEECH_PROBABILITY
    return "phrase" if silent and text in DOUBTED.get(hypothesis.language, ()) else ""


def _bare(text: str) -> str:
    letters = "".join(c if unicodedata.category(c)[0] not in "PS" or c == "'" else " " for c in text.casefold())
    return " ".join(unicodedata.normalize("NFC", letters).split())
