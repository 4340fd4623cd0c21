"""Who says what when."""

from pathlib import Path

import numpy as np
import pytest

from bench import scripts
from bench.clips import Clip
from bench.scripts import Script, Turn
from bench.voices import SAMPLES_PER_MS, Voice


def voice(language: str, length_ms: int, number: int = 0) -> Voice:
    pcm = np.full(length_ms * SAMPLES_PER_MS, 1000 + number, np.int16)
    return Voice(Clip(Path(f"{language}{number}"), language, f"clip {number}"), pcm, ((200, length_ms - 300),))


VOICES = [voice("en", 2000 + 500 * n, n) for n in range(14)] + [voice("vi", 3000 + 500 * n, n) for n in range(2)]


def talks(speakers: int, seconds: int = 60, seed: int = 1) -> list[Script]:
    return scripts.conversations(VOICES, speakers, seed, [seconds * 1000] * speakers)


def test_each_language_has_its_share_of_the_speakers() -> None:
    languages = scripts.shared_out(VOICES, 16)
    assert (languages.count("en"), languages.count("vi")) == (14, 2)
    assert languages[0] == "en"
    assert scripts.shared_out(VOICES, 8).count("vi") == 1


def test_a_speaker_keeps_to_one_language() -> None:
    for script in talks(8):
        assert {turn.voice.clip.language for turn in script.turns} == {script.language}


def test_somebody_speaks_about_half_of_the_time() -> None:
    played = talks(8, seconds=600)
    spoken = sum(turn.voice.length_ms for script in played for turn in script.turns)
    assert spoken / sum(script.length_ms for script in played) == pytest.approx(0.5, abs=0.05)


def test_turns_do_not_overlap_and_leave_time_for_the_endpoint() -> None:
    for script in talks(8):
        for earlier, later in zip(script.turns, script.turns[1:], strict=False):
            assert later.start_ms - earlier.end_ms >= scripts.SHORTEST_PAUSE_MS


@pytest.mark.parametrize("seed", range(20))
def test_a_session_ends_amid_speech_soon_after_its_time(seed: int) -> None:
    for script in talks(4, seconds=20, seed=seed):
        closing = script.turns[-1]
        assert closing.speech_start_ms < script.length_ms <= closing.speech_end_ms
        pause = 300 + scripts.SHORTEST_PAUSE_MS  # the clips end with 300 ms of silence
        latest = 20_000 + pause + closing.voice.speech_start_ms + scripts.CLOSING_SPEECH_MS
        assert 20_000 <= script.length_ms <= latest


def test_a_session_does_not_end_in_a_pause_for_breath() -> None:
    broken = Voice(Clip(Path("x"), "en", "x"), np.zeros(8000 * SAMPLES_PER_MS, np.int16), ((0, 3000), (5000, 8000)))
    for until_ms in range(0, 60_000, 500):
        (script,) = scripts.conversations([broken], 1, 1, [until_ms])
        position = script.length_ms - script.turns[-1].start_ms
        assert any(start + scripts.CLOSING_VOICE_MS <= position <= end for start, end in broken.regions)


def test_all_clips_of_a_language_are_said_before_one_is_said_again() -> None:
    said = [
        turn.voice.clip.path for script in talks(14, seconds=20) if script.language == "en" for turn in script.turns[:1]
    ]
    assert len(said) == len(set(said)) == 12


def test_the_same_seed_says_the_same() -> None:
    one, other, another = talks(3), talks(3), talks(3, seed=2)
    assert [script.turns for script in one] == [script.turns for script in other]
    assert [script.turns for script in one] != [script.turns for script in another]


def test_the_sound_has_the_clips_in_their_places_and_the_room_elsewhere() -> None:
    turns = (Turn(voice("en", 1000, 1), 500), Turn(voice("en", 1000, 2), 2500))
    sound = np.frombuffer(scripts.rendered(turns, 0, 4000, scripts.room()), "<i2").reshape(-1, SAMPLES_PER_MS)
    assert (sound[500:1500] == 1001).all()
    assert (sound[2500:3500] == 1002).all()
    silence = np.concatenate((sound[:500], sound[1500:2500], sound[3500:]))
    assert 0 < np.abs(silence).max() < 100


def test_a_piece_of_the_sound_is_that_piece() -> None:
    turns = (Turn(voice("en", 1000, 1), 500),)
    whole = scripts.rendered(turns, 0, 25_000, scripts.room())
    pieces = [scripts.rendered(turns, start, start + 700, scripts.room()) for start in range(0, 24_500, 700)]
    assert b"".join(pieces) == whole[: 24_500 * SAMPLES_PER_MS * 2]


def test_a_position_belongs_to_the_turn_that_is_on() -> None:
    turns = (Turn(voice("en", 1000, 1), 1000), Turn(voice("en", 1000, 2), 5000))
    script = Script("en", turns, 6000)
    assert script.turn_at(100) is None
    assert script.turn_at(900) == turns[0]  # the detector may hear the beginning a little early
    assert script.turn_at(3000) == turns[0]
    assert script.turn_at(5600) == turns[1]
