"""What each speaker says when: clips of one language, and pauses in which only the room is heard."""

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.voices import SAMPLES_PER_MS, Pcm, Voice

PAUSE_SHARES = (0.6, 1.4)
"""A pause lasts between these shares of the clip before it: on average somebody speaks half of the time."""
SHORTEST_PAUSE_MS = 1_200
LONGEST_OPENING_MS = 4_000
CLOSING_SPEECH_MS = 1_500
CLOSING_VOICE_MS = 300
"""A session ends after so much unbroken voice, so that an utterance is open, whose end tells what arrived."""
ROOM_AMPLITUDE = 12.0
"""Standard deviation of the room's noise, of 32768: 69 dB below full scale, as a quiet room."""
ROOM_MS = 10_000


@dataclass(frozen=True)
class Turn:
    """One clip said, from `start_ms` of the session on."""

    voice: Voice
    start_ms: int

    @property
    def end_ms(self) -> int:
        """Where the clip is over."""
        return self.start_ms + self.voice.length_ms

    @property
    def speech_start_ms(self) -> int:
        """Where its first sound is."""
        return self.start_ms + self.voice.speech_start_ms

    @property
    def speech_end_ms(self) -> int:
        """Where its last sound is over."""
        return self.start_ms + self.voice.speech_end_ms


@dataclass(frozen=True)
class Script:
    """One speaker's session. It ends while somebody speaks, so that the last event tells what of the audio arrived."""

    language: str
    turns: tuple[Turn, ...]
    length_ms: int

    @property
    def whole_turns(self) -> tuple[Turn, ...]:
        """Those that are spoken to their end, and followed by a pause."""
        return self.turns[:-1]

    def turn_at(self, position_ms: float) -> Turn | None:
        """The turn that is on at the position, or was the last before it; half a second early counts as well."""
        begun = [turn for turn in self.turns if turn.start_ms - 500 <= position_ms]
        return begun[-1] if begun else None


def shared_out(voices: Sequence[Voice], speakers: int) -> list[str]:
    """The language of each speaker, so that each language has its share of the clips, evenly among the speakers."""
    languages = sorted({voice.clip.language for voice in voices}, key=lambda code: (-_count(voices, code), code))
    debts = dict.fromkeys(languages, 0.0)
    chosen = []
    for _ in range(speakers):
        debts = {code: debt + _count(voices, code) / len(voices) for code, debt in debts.items()}
        most = max(languages, key=debts.__getitem__)
        debts[most] -= 1
        chosen.append(most)
    return chosen


def conversations(voices: Sequence[Voice], speakers: int, seed: int, until_ms: Sequence[int]) -> list[Script]:
    """A script for each speaker that goes on until `until_ms` of its own session.

    The clips of a language are dealt out to its speakers, so that all are said before one is said again.
    """
    languages = shared_out(voices, speakers)
    decks = {code: _shuffled(voices, code, seed) for code in set(languages)}
    places = {code: [i for i, language in enumerate(languages) if language == code] for code in decks}
    scripts = []
    for speaker, (code, until) in enumerate(zip(languages, until_ms, strict=True)):
        deck, players = decks[code], places[code]
        first = players.index(speaker)
        hand = (deck[number % len(deck)] for number in itertools.count(first, len(players)))
        scripts.append(_script(code, hand, random.Random(f"{seed}/{speaker}"), until))
    return scripts


def _count(voices: Sequence[Voice], code: str) -> int:
    return sum(voice.clip.language == code for voice in voices)


def _shuffled(voices: Sequence[Voice], code: str, seed: int) -> list[Voice]:
    deck = [voice for voice in voices if voice.clip.language == code]
    random.Random(f"{seed}/{code}").shuffle(deck)
    return deck


def _script(code: str, hand: Iterator[Voice], chance: random.Random, until_ms: int) -> Script:
    turns: list[Turn] = []
    position = chance.randrange(LONGEST_OPENING_MS)
    while position < until_ms:
        turns.append(Turn(next(hand), position))
        position = turns[-1].end_ms + pause_after(turns[-1].voice, chance)
    if not turns or turns[-1].speech_end_ms <= until_ms:  # a pause is on: the closing turn begins now
        earliest = turns[-1].end_ms + SHORTEST_PAUSE_MS if turns else 0
        turns.append(Turn(next(hand), max(until_ms, earliest)))
    return Script(code, tuple(turns), _closed(turns[-1], until_ms))


def _closed(closing: Turn, until_ms: int) -> int:
    """Where a session ends that may end from `until_ms` on: at a position of its last turn where there is voice."""
    wanted = max(until_ms, closing.speech_start_ms + CLOSING_SPEECH_MS)
    for start, end in closing.voice.regions:
        position = max(wanted, closing.start_ms + start + CLOSING_VOICE_MS)
        if position < closing.start_ms + end:
            return position
    return closing.speech_end_ms


def pause_after(voice: Voice, chance: random.Random) -> int:
    """How long a speaker is silent after the clip, in milliseconds."""
    return max(SHORTEST_PAUSE_MS, round(voice.length_ms * chance.uniform(*PAUSE_SHARES)))


def room(seed: int = 0) -> Pcm:
    """Ten seconds of a quiet room: white noise, never digital silence."""
    noise = np.random.default_rng(seed).normal(0, ROOM_AMPLITUDE, ROOM_MS * SAMPLES_PER_MS)
    return noise.round().astype(np.int16)


def rendered(turns: Sequence[Turn], start_ms: int, end_ms: int, background: Pcm) -> bytes:
    """The sound from `start_ms` to `end_ms` as 16-bit PCM: the clips, and the room wherever no clip is."""
    begin, end = start_ms * SAMPLES_PER_MS, end_ms * SAMPLES_PER_MS
    sound = np.take(background, np.arange(begin, end), mode="wrap")
    for turn in turns:
        clip, first = turn.voice.pcm, turn.start_ms * SAMPLES_PER_MS
        low, high = max(begin, first), min(end, first + len(clip))
        if low < high:
            sound[low - begin : high - begin] = clip[low - first : high - first]
    return sound.astype("<i2").tobytes()
