"""The texts of clips as each way of transcribing them has it, and how far they are from what is said."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from faster_whisper import WhisperModel

from bench import scoring
from bench.clips import Clip, pcm16
from bench.load import Round
from bench.measures import by_turn
from bench.scoring import Rates
from bench.speaker import Manner, SessionBroken, Take, speak_each

Texts = Mapping[Path, str]
"""What was heard in each clip, by its path."""

LANGUAGES = ("vi", "en")


def live(
    clips: Sequence[Clip], target: str, token: str, at_once: int, paced: bool, told: Callable[[], None]
) -> dict[Path, Take]:
    """A session for each clip, `at_once` at a time. Raises SessionBroken."""
    sounds = [(pcm16(clip.path), Manner(clip.language, paced=paced)) for clip in clips]
    takes = asyncio.run(speak_each(target, token, sounds, at_once, told))
    for clip, take in zip(clips, takes, strict=True):
        if take.ending:
            raise SessionBroken(f"{clip.path.name}: the session ended with {take.ending}")
    return {clip.path: take for clip, take in zip(clips, takes, strict=True)}


def offline(clips: Sequence[Clip], weights: Path, beam: int, told: Callable[[], None]) -> dict[Path, str]:
    """As faster-whisper transcribes the files, its own way."""
    whisper = WhisperModel(str(weights), device="cpu", compute_type="int8")
    texts = {}
    for clip in clips:
        segments, _ = whisper.transcribe(str(clip.path), language=clip.language, beam_size=beam)
        texts[clip.path] = " ".join(segment.text.strip() for segment in segments)
        told()
    return texts


def rates(clips: Sequence[Clip], texts: Texts, language: str) -> Rates | None:
    """Of the clips of a language that are in `texts`; None when none is."""
    chosen = [clip for clip in clips if clip.language == language and clip.path in texts]
    if not chosen:
        return None
    return scoring.rates([clip.transcript for clip in chosen], [texts[clip.path] for clip in chosen])


@dataclass(frozen=True)
class Coverage:
    """How much of what was said under load came out, beside the same clips transcribed without load."""

    turns: int
    """Clips that were said from beginning to end."""
    empty_turns: int
    """Those without any text, though there is text without load."""
    words: int
    words_without_load: int

    @property
    def share(self) -> float:
        """Words that came out, of those that come out without load; 1 when nothing was said."""
        return self.words / self.words_without_load if self.words_without_load else 1.0


def coverage(round_: Round, without_load: Texts) -> Coverage:
    """Of the sessions that were served to the end; the texts are finals as they came first, here and there."""
    said = [(clip, text) for clip, text, _ in under_load(round_) if clip.path in without_load]
    heard = [(len(text.split()), len(without_load[clip.path].split())) for clip, text in said]
    return Coverage(
        turns=len(heard),
        empty_turns=sum(words == 0 and expected > 0 for words, expected in heard),
        words=sum(words for words, _ in heard),
        words_without_load=sum(expected for _, expected in heard),
    )


def under_load(round_: Round) -> list[tuple[Clip, str, str]]:
    """Each clip that was said to its end, what was heard at first, and what was left; it may have been said again."""
    return [
        (
            turn.voice.clip,
            " ".join(final.text for _, final in finals),
            " ".join(take.refined[final.final_index] for _, final in finals),
        )
        for script, take in zip(round_.scripts, round_.takes, strict=True)
        if take.started and not take.ending
        for turn, finals in by_turn(script, take).items()
        if turn in script.whole_turns
    ]


def rates_under_load(round_: Round, language: str) -> Rates | None:
    """The errors of what was left of all that was said in a language; None when nothing was."""
    said = [(clip.transcript, text) for clip, _, text in under_load(round_) if clip.language == language]
    return scoring.rates(*zip(*said, strict=True)) if said else None
